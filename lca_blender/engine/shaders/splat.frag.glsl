/* SPDX-License-Identifier: GPL-3.0-or-later */
/* offset is in standard deviations, so the falloff needs no conic. */

void main()
{
  float alpha = min(paint.a * exp(-0.5 * dot(offset, offset)), ALPHA_MAX);
  ivec2 at = min(ivec2(gl_FragCoord.xy), textureSize(scene_z, 0) - 1);
  if (alpha < ALPHA_MIN || camera_z > texelFetch(scene_z, at, 0).x) {
    discard;
  }
  color = vec4(paint.rgb * alpha, alpha);
}
