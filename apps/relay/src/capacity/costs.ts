/**
 * What each thing costs, as measured by `npm run bench` (docs/performance.md says on what and how it varied). Times are
 * seconds of one core. A machine that is twice as fast needs half of the processes.
 */
export interface Costs {
  /** One write to a socket, whatever is in it: most of it is the kernel's. */
  readonly write: number;
  /** One frame more in a write. */
  readonly frame: number;
  /** A node learns of an event: from the bus to a frame. */
  readonly apply: number;
  /** A webhook, from its first byte to the 200, without Redis. */
  readonly accept: number;
  /** The same inside Redis. */
  readonly acceptInRedis: number;
  /** A ping and its pong. */
  readonly ping: number;
  /** A client connects, is verified, subscribes and is given what it missed. */
  readonly comeBack: number;
  /** Bytes of memory of a connection with one topic. */
  readonly connectionBytes: number;
  /** Bytes of memory of a process before anybody comes, its memory of recent events included. */
  readonly processBytes: number;
  /** Bytes that surround an event on the wire: what the relay says of it, and the frame. */
  readonly frameBytes: number;
  /** Share that is left of a frame when compressed alone, and as one of many in a write. */
  readonly deflated: { readonly alone: number; readonly chained: number };
  /** Bytes that an event takes in Redis beside its own. */
  readonly storedBytes: number;
  /** Messages that one Redis can publish to nodes, and events it can accept, in a second. */
  readonly redisMessages: number;
  readonly redisAccepts: number;
}

export const measured: Costs = {
  write: 15e-6,
  frame: 0.3e-6,
  apply: 40e-6,
  accept: 130e-6,
  acceptInRedis: 30e-6,
  ping: 100e-6,
  comeBack: 1.5e-3,
  connectionBytes: 16 * 1024,
  processBytes: 160 * 1024 * 1024,
  frameBytes: 70,
  deflated: { alone: 0.67, chained: 0.1 },
  storedBytes: 66,
  redisMessages: 650_000,
  redisAccepts: 12_000,
};
