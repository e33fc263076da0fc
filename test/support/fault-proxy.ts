/**
 * A TCP proxy that does to a connection what networks do: it delays, throttles, slices, loses, resets and refuses, in
 * each direction by itself. What was lost on a connection stays lost: that connection never comes to itself again.
 */
import { once } from 'node:events';
import { createServer, connect, type Socket } from 'node:net';
import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises';

/** What becomes of the bytes of one direction. Times in milliseconds. */
export type Fault =
  | { readonly kind: 'pass' }
  | { readonly kind: 'delay'; readonly ms: number; readonly jitter?: number }
  | { readonly kind: 'throttle'; readonly bytesPerSecond: number }
  /** One byte at a time. */
  | { readonly kind: 'slice' }
  /** They vanish; the sockets stay open, and their ends are not told to each other. */
  | { readonly kind: 'drop' };

/** `up` is from the caller to the server, `down` the way back. */
export type Direction = 'up' | 'down';

export interface FaultProxy {
  readonly port: number;
  /** Bytes that have vanished. */
  lost(): number;
  set(fault: Fault, directions?: readonly Direction[]): void;
  /** Bytes vanish both ways. */
  drop(): void;
  /** Requests pass, replies vanish. */
  half(): void;
  /** Every connection is reset, and each new one as soon as it is made. */
  reset(): void;
  /** Every connection is reset, and nobody listens. Resolves when that is so. */
  refuse(): Promise<void>;
  /** From here on all passes, but for connections that have lost something. Resolves when somebody listens. */
  heal(): Promise<void>;
  close(): Promise<void>;
}

/** To a port of this machine. @param random for the jitter */
export async function startFaultProxy(target: number, random: () => number = () => 0.5): Promise<FaultProxy> {
  const faults: Record<Direction, Fault> = { up: pass, down: pass };
  const sockets = new Set<Socket>();
  let isResetting = false;
  let lost = 0;
  const lose = (bytes: number) => {
    lost += bytes;
  };
  const server = createServer({ noDelay: true }, caller => {
    if (isResetting) return void caller.on('error', ignore).resetAndDestroy();
    const called = connect({ port: target, host: '127.0.0.1', noDelay: true });
    for (const socket of [caller, called]) {
      sockets.add(socket.on('error', ignore));
      socket.once('close', () => sockets.delete(socket));
    }
    pump(caller, called, { current: () => faults.up, random, lose });
    pump(called, caller, { current: () => faults.down, random, lose });
  });
  const listen = async (port: number) => {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  };
  await listen(0);
  const { port } = server.address() as { port: number };
  const resetAll = () => sockets.forEach(socket => socket.resetAndDestroy());
  const deafen = async () => {
    const closed = server.listening ? once(server, 'close') : undefined;
    server.close();
    resetAll();
    await closed;
  };
  const proxy: FaultProxy = {
    port,
    lost: () => lost,
    set(fault, directions = ['up', 'down']) {
      for (const direction of directions) faults[direction] = fault;
    },
    drop: () => proxy.set({ kind: 'drop' }),
    half: () => proxy.set({ kind: 'drop' }, ['down']),
    reset() {
      isResetting = true;
      resetAll();
    },
    refuse: deafen,
    async heal() {
      proxy.set(pass);
      isResetting = false;
      if (!server.listening) await listen(port);
    },
    close: deafen,
  };
  return proxy;
}

const pass: Fault = { kind: 'pass' };

function ignore(): void {}

interface Pump {
  readonly current: () => Fault;
  readonly random: () => number;
  readonly lose: (bytes: number) => void;
}

/** Carries the bytes of one direction, in their order, each as the fault at its arrival says. */
function pump(from: Socket, to: Socket, { current, random, lose }: Pump): void {
  let isLost = false;
  let last: Promise<void> = Promise.resolve();
  const carry = async (before: Promise<void>, due: number, bytes: Buffer, fault: Fault) => {
    await before;
    const early = due - performance.now();
    if (early > 0) await delay(early);
    if (!isLost) await write(to, bytes, fault);
  };
  const tell = async (before: Promise<void>, news: () => void) => {
    await before;
    // Where something was lost, so is this.
    if (!isLost && current().kind !== 'drop') news();
  };
  from.on('data', (bytes: Buffer) => {
    const fault = current();
    isLost ||= fault.kind === 'drop';
    if (isLost) lose(bytes.length);
    else last = carry(last, performance.now() + latency(fault, random), bytes, fault);
  });
  from.once('end', () => {
    last = tell(last, () => to.end());
  });
  from.once('close', hadError => {
    last = tell(last, () => (hadError ? to.resetAndDestroy() : to.end()));
  });
}

function latency(fault: Fault, random: () => number): number {
  return fault.kind === 'delay' ? fault.ms + (2 * random() - 1) * (fault.jitter ?? 0) : 0;
}

async function write(to: Socket, bytes: Buffer, fault: Fault): Promise<void> {
  if (to.destroyed) return;
  if (fault.kind === 'slice') {
    for (const byte of bytes) {
      to.write(Buffer.of(byte));
      await nextTurn();
    }
    return;
  }
  to.write(bytes);
  if (fault.kind === 'throttle') await delay((1000 * bytes.length) / fault.bytesPerSecond);
}
