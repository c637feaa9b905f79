/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A mesh as the same camera sees it. */

void main()
{
  point = (to_camera * vec4(pos, 1.0)).xyz;
  bool parallel = frame.w > 0.5;
  float w = parallel ? 1.0 : point.z;
  vec2 pixel = lens.xy * point.xy + lens.zw * w;
  float depth = parallel ? 2.0 * (point.z - frame.z) / PARALLEL_REACH - 1.0 : point.z - 2.0 * frame.z;
  gl_Position = vec4(2.0 * pixel.x / frame.x - w, w - 2.0 * pixel.y / frame.y, depth, w);
}
