/** Owns the connections to each upstream: where it is, by the configuration alone, and how many sockets it may have. */
import { Agent as HttpAgent, type ClientRequest, request as requestHttp } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';

export interface UpstreamTarget {
  /** For the `Host` field. */
  readonly authority: string;
  /** The path before every path, without a slash at its end. */
  readonly basePath: string;
  /** @param connection `kept` among others for the next request, or one for this request `alone` */
  request(head: RequestHead, connection: 'kept' | 'alone'): ClientRequest;
  close(): void;
}

export interface RequestHead {
  readonly method: string;
  /** The request target, byte for byte. */
  readonly path: string;
  /** Names and values in turn: all there are, `Host` too. */
  readonly fields: string[];
}

/** @throws TypeError where the base is no URL, which the configuration does not let happen */
export function openUpstreamTarget(base: string): UpstreamTarget {
  const { protocol, hostname, host, port, pathname } = new URL(base);
  const isSecure = protocol === 'https:';
  const [request, Agent] = isSecure ? [requestHttps, HttpsAgent] : [requestHttp, HttpAgent];
  const agent = new Agent(agentOptions);
  const place = { host: hostname.replace(/^\[(.*)\]$/, '$1'), port: port || (isSecure ? 443 : 80) };
  return {
    authority: host,
    basePath: pathname.replace(/\/+$/, ''),
    request({ method, path, fields }, connection) {
      const outgoing = request({
        ...place,
        method,
        path,
        // Node's types know the object form alone; the list keeps order, case and doubles.
        headers: fields as unknown as Record<string, string>,
        agent: connection === 'kept' ? agent : false,
        setHost: false,
      });
      // No field may be dropped unseen; their size is bounded.
      outgoing.maxHeadersCount = 0;
      return outgoing;
    },
    close: () => agent.destroy(),
  };
}

/**
 * An idle socket is given up after four seconds, before the five of Node's own servers: a request that cannot be
 * repeated should not meet a connection that is just being closed.
 */
const agentOptions = { keepAlive: true, maxSockets: 1000, maxFreeSockets: 100, timeout: 4000 };
