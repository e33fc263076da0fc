/** A gateway of the service's own parts, without a guard, and upstreams that remember what they were asked. */
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import Router from '@koa/router';
import Koa from 'koa';
import type { UpstreamController } from '../../src/config/catalogue.ts';
import { createReverseProxy, type ReverseProxyOptions } from '../../src/gateway/reverse-proxy.ts';
import type { UpstreamCall } from '../../src/gateway/upstream-call.ts';
import { createClientAddress, createProxyTrust } from '../../src/server/client-address.ts';
import type { AppMiddleware, AppState } from '../../src/server/context.ts';
import { createErrorHandler } from '../../src/server/error-handler.ts';
import { createFrontDoor } from '../../src/server/front-door.ts';
import { listen } from '../../src/server/http-server.ts';
import { createLogger } from '../../src/server/logger.ts';
import { createRequestLog } from '../../src/server/request-log.ts';
import { createUpstreamRoute } from '../../src/server/routes/upstream.ts';

export interface TestGateway {
  readonly url: string;
  readonly port: number;
  /** Every line that was logged. */
  readonly log: string[];
  close(grace?: number): Promise<void>;
}

export interface TestGatewayOptions extends Partial<
  Pick<UpstreamCall, 'caller' | 'authorization' | 'editQuery' | 'mayContinue'>
> {
  readonly upstream: string;
  /** Seconds. */
  readonly timeout?: number;
  readonly routes?: UpstreamController['routes'];
  readonly trustedProxies?: readonly string[];
  readonly patience?: Omit<ReverseProxyOptions, 'controllers'>;
  readonly onError?: (error: unknown) => void;
}

const anybody: UpstreamCall['caller'] = {
  keyId: '0195c2f0-0000-7000-8000-000000000000',
  feature: 'orders',
  scope: 'orders:read orders:update',
  user: '',
  customData: {},
};

export async function startGateway(options: TestGatewayOptions): Promise<TestGateway> {
  const { timeout = 5, trustedProxies = [], routes = everyRoute } = options;
  const controller: UpstreamController = {
    name: 'Shop.Orders',
    upstream: options.upstream,
    doors: ['bearer'],
    requireApiKey: false,
    routes,
  };
  const log: string[] = [];
  const logger = createLogger('info', { write: line => void log.push(line) });
  const proxy = createReverseProxy({ ...options.patience, controllers: [controller] });
  const app = new Koa<AppState>();
  app.on('error', error => options.onError?.(error));
  app.use(createRequestLog(logger, createClientAddress(trustedProxies), { count: () => undefined }));
  app.use(createErrorHandler(logger));
  app.use(createFrontDoor());
  const router = new Router<AppState>({ sensitive: true, strict: true });
  const answer = createUpstreamRoute({
    proxy,
    upstreamTimeout: timeout,
    isProxyTrusted: createProxyTrust(trustedProxies),
    upstreamAccess: async () => ({
      caller: options.caller ?? anybody,
      authorization: options.authorization ?? 'strip',
      ...(options.editQuery && { editQuery: options.editQuery }),
      ...(options.mayContinue && { mayContinue: options.mayContinue }),
    }),
  })(controller, () => ({ audience: '', controllers: [controller.name] }));
  for (const route of routes) router.register(route.path, [...route.methods], [letIn, answer]);
  app.use(router.routes());
  const callback = app.callback();
  const server = await listen({ host: '127.0.0.1', port: 0 }, async (_port, answerWith) => {
    answerWith(callback);
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    port: server.port,
    log,
    async close(grace = 200) {
      await server.close(grace);
      proxy.close();
    },
  };
}

const everyRoute: UpstreamController['routes'] = ['/', '/*rest'].map(path => ({
  methods: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'],
  path,
  scope: 'orders:manage',
  graphqlPath: false,
}));

/** What an upstream was asked. */
export interface Asked {
  readonly method: string;
  readonly url: string;
  readonly rawHeaders: readonly string[];
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export interface TestUpstream {
  readonly url: string;
  readonly port: number;
  readonly server: Server;
  /** Each request that came whole. */
  readonly asked: Asked[];
  /** Connections so far. */
  connections(): number;
  close(): Promise<void>;
}

/** Remembers each request, then answers: by the listener, else with 200 and what it was asked. */
export async function startUpstream(listener?: RequestListener): Promise<TestUpstream> {
  const asked: Asked[] = [];
  let connections = 0;
  const answer: RequestListener = (req, res) => {
    if (listener !== undefined) return listener(req, res);
    res.setHeader('Content-Type', 'application/json');
    res.end(JSON.stringify(asked.at(-1)));
  };
  const receive = async (req: IncomingMessage, res: ServerResponse) => {
    const body = await readWhole(req);
    if (body === undefined) return;
    const { method = '', url = '', rawHeaders, headers } = req;
    asked.push({ method, url, rawHeaders, headers, body });
    answer(req, res);
  };
  const server = createServer((req, res) => void receive(req, res));
  server.on('connection', () => {
    connections += 1;
  });
  return { ...(await started(server)), server, asked, connections: () => connections };
}

/** Bytes for bytes: what the gateway sends, and whatever the test lets it hear. */
export async function startRawUpstream(
  onConnection: (socket: Socket, place: number) => void,
): Promise<{ url: string; port: number; received: string[]; close(): Promise<void> }> {
  const received: string[] = [];
  const server = createTcpServer(socket => {
    const place = received.push('') - 1;
    socket.on('error', () => {});
    socket.on('data', chunk => {
      received[place] += chunk.toString('latin1');
    });
    onConnection(socket, place);
  });
  return { ...(await started(server)), received };
}

async function started(
  server: Server | ReturnType<typeof createTcpServer>,
): Promise<{ url: string; port: number; close(): Promise<void> }> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>(resolve => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  const close = () =>
    new Promise<void>(resolve => {
      server.close(() => resolve());
      for (const socket of sockets) socket.destroy();
    });
  return { url: `http://127.0.0.1:${port}`, port, close };
}

/** Undefined where it breaks off. */
async function readWhole(req: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of req) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks).toString('latin1');
  } catch {
    return undefined;
  }
}

/** In the guard's stead. */
const letIn: AppMiddleware = (ctx, next) => {
  const none: ReadonlySet<string> = new Set();
  const token = {
    door: 'bearer',
    clientId: '',
    keyVersion: 1,
    expiresAt: undefined,
    feature: '',
    user: undefined,
    customData: {},
    visitor: undefined,
    audiences: none,
    scopes: none,
    controllers: none,
    origins: none,
  } as const;
  ctx.state.access = { allowed: true, door: 'bearer', token };
  return next();
};
