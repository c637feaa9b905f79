/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bitonic sort: one step between keys that are `stride` apart, farther than a block holds. */

bool comes_before(vec2 a, vec2 b)
{
  return a.y > b.y || (a.y == b.y && a.x > b.x);
}

void main()
{
  int thread_index = int(gl_GlobalInvocationID.x);
  int low = thread_index & (stride - 1), i = 2 * (thread_index - low) + low;
  ivec2 here = ivec2(i % ROW, i / ROW), there = ivec2((i + stride) % ROW, (i + stride) / ROW);
  vec4 a = texelFetch(keys, here, 0), b = texelFetch(keys, there, 0);
  bool forwards = (i & size) == 0;
  bool swapped = forwards ? comes_before(b.xy, a.xy) : comes_before(a.xy, b.xy);
  imageStore(sorted_keys, here, swapped ? b : a);
  imageStore(sorted_keys, there, swapped ? a : b);
}
