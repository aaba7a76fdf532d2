/** How ioredis connects where the master is not named by REDIS_URL: it asks, each time, and leaves one that is no more. */
import { connect as connectTcp, isIP, Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { AbstractConnector, type RedisOptions } from "ioredis";
import { type Follower, Guide } from "./redis-guide.ts";
import { type HostPort, print, type RedisAddress } from "./redis-url.ts";

/** All connections of a log ask together. */
const guides = new WeakMap<RedisAddress, Guide>();

/** The option that makes a connection follow the master; none where the URL names it. */
export function followingMaster(address: RedisAddress): Pick<RedisOptions, "Connector"> {
  if (address.guides === undefined) return {};
  const guide = guides.get(address) ?? new Guide(address.guides, address.options.tls);
  guides.set(address, guide);
  return {
    Connector: class extends MasterConnector {
      constructor() {
        super(guide, address.options.tls);
      }
    },
  };
}

const disconnectMs = 250;

class MasterConnector extends AbstractConnector implements Follower {
  readonly #guide: Guide;
  readonly #tls: RedisAddress["options"]["tls"];
  #master: HostPort | undefined;

  constructor(guide: Guide, tls: RedisAddress["options"]["tls"]) {
    super(disconnectMs);
    this.#guide = guide;
    this.#tls = tls;
  }

  override async connect(): Promise<Socket> {
    this.connecting = true;
    this.#guide.join(this);
    let stream: Socket;
    try {
      this.#master = await this.#guide.find();
      stream = this.#open(this.#master);
    } catch (error) {
      // A connector that rejects is never asked again; one whose stream is broken is, after the usual delay.
      this.firstError = error instanceof Error ? error : new Error(String(error));
      stream = new Socket().destroy();
    }
    if (!this.connecting) {
      stream.destroy();
      throw new Error("Connection is closed.");
    }
    this.stream = stream;
    stream.once("error", (error) => {
      this.firstError = error;
    });
    return stream;
  }

  override disconnect(): void {
    this.#guide.leave(this);
    super.disconnect();
  }

  /** A master that was replaced may not know it yet, and would take what is lost as soon as it does. */
  follow(master: HostPort): void {
    if (this.#master === undefined || print(this.#master) === print(master)) return;
    this.#master = undefined;
    if (this.connecting) this.stream.destroy(new Error(`the master is now ${print(master)}`));
  }

  #open({ host, port }: HostPort): Socket {
    if (this.#tls === undefined) return connectTcp({ host, port });
    return connectTls({ host, port, ...(isIP(host) === 0 ? { servername: host } : {}), ...this.#tls });
  }
}
