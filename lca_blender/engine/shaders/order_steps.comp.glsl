/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bitonic sort (Batcher 1968): the steps of one merge whose strides are SPAN / 2 ... 1 times `stride`, in registers. The
 * farthest key comes first, of equal ones the later splat, which is the reverse of front to back. No shared memory:
 * versions and backends of Blender disagree on how it is declared. */

bool comes_before(vec2 a, vec2 b)
{
  return a.y > b.y || (a.y == b.y && a.x > b.x);
}

void main()
{
  int thread_index = int(gl_GlobalInvocationID.x);
  int low = thread_index & (stride - 1), base = (thread_index - low) * SPAN + low;
  bool forwards = (base & size) == 0;
  vec2 held[SPAN];
  for (int k = 0; k < SPAN; k++) {
    int i = base + k * stride;
    held[k] = texelFetch(keys, ivec2(i % ROW, i / ROW), 0).xy;
  }
  for (int apart = SPAN / 2; apart > 0; apart /= 2) {
    for (int k = 0; k < SPAN / 2; k++) {
      int here = 2 * k - (k & (apart - 1));
      vec2 a = held[here], b = held[here + apart];
      bool swapped = forwards ? comes_before(b, a) : comes_before(a, b);
      held[here] = swapped ? b : a;
      held[here + apart] = swapped ? a : b;
    }
  }
  for (int k = 0; k < SPAN; k++) {
    int i = base + k * stride;
    imageStore(sorted_keys, ivec2(i % ROW, i / ROW), vec4(held[k], 0.0, 0.0));
  }
}
