/** The end of the onion: what no route took. */
import type { Middleware } from 'koa';
import { Problem } from '../protocol/errors.ts';

/** An address that is not there, or a method that is not offered there. */
export const refuseUnrouted: Middleware = ctx => {
  const matched = (ctx['matched'] ?? []) as { methods: string[] }[];
  const methods = new Set(matched.flatMap(layer => layer.methods));
  if (methods.size === 0) throw new Problem('not_found');
  methods.add('OPTIONS');
  const allow = [...methods].join(', ');
  ctx.set('Allow', allow);
  if (ctx.method !== 'OPTIONS') throw new Problem('method_not_allowed', `Use one of ${allow}.`);
  ctx.status = 204;
};
