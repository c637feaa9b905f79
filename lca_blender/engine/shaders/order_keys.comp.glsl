/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sort keys: (index of the splat, camera z); behind the last splat, keys that come after all others. */

void main()
{
  int i = int(gl_GlobalInvocationID.x);
  vec3 mean = texelFetch(splats, ivec2((i % ROW) * 4, i / ROW), 0).xyz;
  float z = i < count ? dot(axis, vec4(mean, 1.0)) : -3.0e38;
  imageStore(sorted_keys, ivec2(i % ROW, i / ROW), vec4(float(i), z, 0.0, 0.0));
}
