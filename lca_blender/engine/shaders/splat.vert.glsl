/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One Gaussian as a parallelogram around its ellipse on the picture. The projection is that of the rasteriser: EWA with
 * 0.3 px^2 dilation, the Jacobian at a point at most 30 % of the half field of view outside of the picture. */

vec4 texel(int splat, int k)
{
  return texelFetch(splats, ivec2((splat % ROW) * 4 + k, splat / ROW), 0);
}

void main()
{
  gl_Position = vec4(2.0, 2.0, 2.0, 1.0); /* beyond the picture: not drawn */
  int splat = int(texelFetch(order, ivec2(gl_InstanceID % ROW, gl_InstanceID / ROW), 0).x);
  vec4 place = texel(splat, 0), first = texel(splat, 1), second = texel(splat, 2);
  vec3 p = (viewmat * vec4(place.xyz, 1.0)).xyz;
  vec2 size = frame.xy;
  float nearest = frame.z;
  bool parallel = frame.w > 0.5;
  if (!(p.z > nearest) || !(place.w >= ALPHA_MIN)) {
    return;
  }

  vec2 ray = p.xy, scale = lens.xy, slope = vec2(0.0);
  if (!parallel) {
    ray = p.xy / p.z;
    scale = lens.xy / p.z;
    vec2 margin = 0.15 * size / lens.xy;
    slope = -scale * clamp(ray, -lens.zw / lens.xy - margin, (size - lens.zw) / lens.xy + margin);
  }
  vec2 centre = lens.xy * ray + lens.zw;

  mat3 covariance = mat3(first.x, first.y, first.z, first.y, first.w, second.x, first.z, second.x, second.y);
  mat3 rows = transpose(mat3(viewmat));
  vec3 a = scale.x * rows[0] + slope.x * rows[2];
  vec3 b = scale.y * rows[1] + slope.y * rows[2];
  vec3 sa = covariance * a, sb = covariance * b;
  float xx = dot(a, sa) + 0.3, xy = dot(b, sa), yy = dot(b, sb) + 0.3;
  float determinant = xx * yy - xy * xy;
  if (!(determinant > 0.0)) {
    return;
  }

  /* Any square root of the covariance carries the unit circle to the ellipse: Cholesky's needs no eigenvectors. */
  float reach = sqrt(2.0 * log(place.w / ALPHA_MIN));
  offset = corner * reach;
  float wide = sqrt(xx);
  vec2 pixel = centre + vec2(wide * offset.x, (xy / wide) * offset.x + sqrt(determinant / xx) * offset.y);
  paint = vec4(texel(splat, 3).rgb, place.w);
  camera_z = p.z;
  gl_Position = vec4(2.0 * pixel.x / size.x - 1.0, 1.0 - 2.0 * pixel.y / size.y, 0.0, 1.0);
}
