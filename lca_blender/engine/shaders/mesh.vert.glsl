/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A mesh as the same camera sees it. */

void main()
{
  point = (to_camera * vec4(pos, 1.0)).xyz;
  bool parallel = frame.w > 0.5;
  float w = parallel ? 1.0 : point.z;
  vec2 pixel = lens.xy * point.xy + lens.zw * w;
  float reach = max(PARALLEL_REACH, -2.0 * frame.z); /* a parallel 3D view sees as far behind itself as before */
  float depth = parallel ? 2.0 * (point.z - frame.z) / reach - 1.0 : point.z - 2.0 * frame.z;
  gl_Position = vec4(2.0 * pixel.x / frame.x - w, w - 2.0 * pixel.y / frame.y, depth, w);
}
