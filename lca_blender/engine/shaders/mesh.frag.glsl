/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Plain clay, lit from above the camera, to its left; camera z goes to the second target. */

void main()
{
  vec3 normal = normalize(cross(dFdx(point), dFdy(point)));
  vec3 outwards = dot(normal, frame.w > 0.5 ? vec3(0.0, 0.0, 1.0) : point) > 0.0 ? -normal : normal;
  clay = vec4(paint * (0.6 + 0.4 * dot(outwards, LIGHT)), 1.0);
  scene_z = vec4(point.z, 0.0, 0.0, 1.0);
}
