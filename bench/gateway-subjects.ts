/** What stands between the load and the upstream in `npm run bench:gateway`: each subject by name. */

export const gatewaySubjects = {
  upstream: 'nothing: the upstream itself',
  nginx: "nginx's proxy_pass: one worker, kept connections, its log written",
  'http-proxy-3': 'http-proxy-3 on node:http, kept connections, no guard, no log',
  proxy: "the gateway's reverse proxy on node:http: no guard, no log",
  keyturn: 'the service: guard, CORS, reverse proxy, its log written',
} as const;

export type GatewaySubject = keyof typeof gatewaySubjects;

/** Bytes of an answer. */
export const answerSizes = [1024, 102_400] as const;

export function isGatewaySubject(name: string): name is GatewaySubject {
  return Object.hasOwn(gatewaySubjects, name);
}
