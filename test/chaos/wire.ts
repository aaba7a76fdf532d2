/** A TCP connection that can be broken: everything goes through it until it is cut, stalled or led elsewhere. */
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { Transform } from "node:stream";

interface Pair {
  readonly inner: Socket;
  readonly outer: Socket;
  /** What goes to the client passes here. */
  readonly slow: Transform;
  stalled: boolean;
}

const endsOf = ({ inner, outer }: Pair): readonly Socket[] => [inner, outer];

export class Wire {
  readonly port: number;
  /** So much goes to the client at most. */
  bytesPerSecond: number = Number.POSITIVE_INFINITY;
  readonly #server: Server;
  readonly #pairs: Set<Pair>;

  private constructor(server: Server, port: number, pairs: Set<Pair>) {
    this.#server = server;
    this.port = port;
    this.#pairs = pairs;
  }

  /** `target` is asked for each new connection. */
  static async open(target: () => number): Promise<Wire> {
    const pairs = new Set<Pair>();
    const server = createServer((inner) => {
      const outer = connect(target(), "127.0.0.1");
      const slow = slowed(() => wire.bytesPerSecond);
      const pair: Pair = { inner, outer, slow, stalled: false };
      pairs.add(pair);
      slow.pipe(inner);
      join(pair);
      for (const [end, other] of [
        [inner, outer],
        [outer, inner],
      ] as const) {
        end.setNoDelay(true);
        end.on("error", () => undefined);
        end.on("close", () => {
          other.destroy();
          pairs.delete(pair);
        });
      }
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("the wire has no port");
    const wire = new Wire(server, address.port, pairs);
    return wire;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** All that stand end; new ones work. */
  cut(): void {
    for (const pair of this.#pairs) for (const end of endsOf(pair)) end.destroy();
  }

  /** Nothing goes through those that stand, and nothing tells their ends; new ones work. */
  stall(): void {
    for (const pair of this.#pairs) {
      pair.stalled = true;
      for (const end of endsOf(pair)) end.unpipe().pause();
    }
  }

  /** What was held back arrives. */
  resume(): void {
    for (const pair of this.#pairs) {
      if (pair.stalled) join(pair);
      pair.stalled = false;
    }
  }

  async close(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.cut();
    await closed;
  }
}

function join({ inner, outer, slow }: Pair): void {
  inner.pipe(outer);
  outer.pipe(slow);
}

/** Passes on what comes in, each piece when the time for it is over. */
function slowed(bytesPerSecond: () => number): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const ms = (1_000 * chunk.length) / bytesPerSecond();
      if (ms < 1) done(null, chunk);
      else setTimeout(done, ms, null, chunk);
    },
  });
}
