/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bitonic sort (Batcher 1968): all steps that stay within BLOCK neighbouring keys, in shared memory. A key is (index of
 * the splat, camera z); the farthest comes first, of equal ones the later index, the reverse of front to back. */

shared vec2 held[BLOCK];

bool comes_before(vec2 a, vec2 b)
{
  return a.y > b.y || (a.y == b.y && a.x > b.x);
}

vec2 load_key(int i)
{
#ifdef FROM_SPLATS
  if (i >= count) {
    return vec2(float(i), -3.0e38);
  }
  return vec2(float(i), dot(axis, vec4(texelFetch(splats, ivec2((i % ROW) * 4, i / ROW), 0).xyz, 1.0)));
#else
  return texelFetch(keys, ivec2(i % ROW, i / ROW), 0).xy;
#endif
}

void main()
{
  int thread_index = int(gl_LocalInvocationID.x), base = int(gl_WorkGroupID.x) * BLOCK;
  for (int i = thread_index; i < BLOCK; i += BLOCK / 2) {
    held[i] = load_key(base + i);
  }
  barrier();
  for (int size = first_size; size <= last_size; size *= 2) {
    for (int stride = min(size, BLOCK) / 2; stride > 0; stride /= 2) {
      int low = thread_index & (stride - 1), i = 2 * (thread_index - low) + low;
      vec2 a = held[i], b = held[i + stride];
      bool forwards = ((base + i) & size) == 0;
      if (forwards ? comes_before(b, a) : comes_before(a, b)) {
        held[i] = b;
        held[i + stride] = a;
      }
      barrier();
    }
  }
  for (int i = thread_index; i < BLOCK; i += BLOCK / 2) {
    imageStore(sorted_keys, ivec2((base + i) % ROW, (base + i) / ROW), vec4(held[i], 0.0, 0.0));
  }
}
