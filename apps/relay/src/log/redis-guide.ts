/**
 * Finds the log's master by asking Sentinels or the nodes of a Cluster, and keeps an eye on who it is. They may not
 * agree while it changes: the newest configuration counts, by the epoch that each of them tells with its answer.
 * The whole log lies in one slot, so in a Cluster, too, it has one master.
 */
import { Redis } from "ioredis";
import { textOf } from "./redis-errors.ts";
import { type Guides, type HostPort, print, type RedisAddress } from "./redis-url.ts";

/** Who follows the master. Told again and again who it is. */
export interface Follower {
  follow(master: HostPort): void;
}

/** What one of those who were asked knows. */
interface Answer {
  readonly master: HostPort;
  readonly epoch: number;
  /** Others who can be asked. */
  readonly others: readonly HostPort[];
}

/** `CLUSTER KEYSLOT {sharmo}` */
export const slot = 10_684;

/** A question that is not answered by then counts as lost. */
const askMs = 1_000;
const watchMs = 1_000;
/** So many are asked at once, the first of at most so many that are known. */
const mostAsked = 5;
const mostKnown = 16;
/** For so long an older configuration than one that was seen is not believed, whoever tells it. */
const believeMs = 30_000;

export class Guide {
  readonly #guides: Guides;
  readonly #tls: RedisAddress["options"]["tls"];
  readonly #asked = new Map<string, Asked>();
  readonly #followers = new Set<Follower>();
  /** In the order in which they are asked: who answered last time first. */
  #hosts: readonly HostPort[];
  #newest: { readonly epoch: number; readonly at: number } = { epoch: 0, at: 0 };
  #finding: Promise<HostPort> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(guides: Guides, tls: RedisAddress["options"]["tls"]) {
    this.#guides = guides;
    this.#tls = tls;
    this.#hosts = guides.hosts;
  }

  /** Watches for as long as anyone follows. */
  join(follower: Follower): void {
    this.#followers.add(follower);
    if (this.#timer === undefined) this.#schedule();
  }

  leave(follower: Follower): void {
    this.#followers.delete(follower);
    if (this.#followers.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const { redis } of this.#asked.values()) redis.disconnect();
  }

  /** Those who ask at the same time share an answer. Rejects if nobody knows; the message says what they said. */
  find(): Promise<HostPort> {
    this.#finding ??= this.#find().finally(() => {
      this.#finding = undefined;
    });
    return this.#finding;
  }

  #schedule(): void {
    this.#timer = setTimeout(() => this.#watch(), watchMs * (0.75 + Math.random() / 2));
  }

  #watch(): void {
    this.find()
      .then((master) => {
        for (const follower of this.#followers) follower.follow(master);
      })
      // As long as nobody knows better, the master is who it was.
      .catch(() => undefined)
      .finally(() => {
        if (this.#timer !== undefined) this.#schedule();
      });
  }

  async #find(): Promise<HostPort> {
    const hosts = this.#hosts;
    let problem = "";
    for (let from = 0; from < hosts.length; from += mostAsked) {
      const asked = hosts.slice(from, from + mostAsked);
      const { answers, problems } = await this.#askAll(asked);
      const [newest] = answers.map(([, answer]) => answer).sort((a, b) => b.epoch - a.epoch);
      problem = problems.at(-1) ?? problem;
      if (newest === undefined) continue;
      if (!this.#believes(newest.epoch, answers.length > asked.length / 2)) {
        problem = "only some answer, and what they tell is old";
        continue;
      }
      const answered = answers.map(([host]) => host);
      this.#hosts = unique([...answered, ...this.#guides.hosts, ...newest.others]).slice(0, mostKnown);
      return newest.master;
    }
    throw new Error(`nobody tells who the master is: ${problem}`);
  }

  #believes(epoch: number, most: boolean): boolean {
    const now = performance.now();
    const isOld = epoch < this.#newest.epoch;
    if (isOld && !(most && now - this.#newest.at > believeMs)) return false;
    this.#newest = { epoch, at: now };
    return true;
  }

  /** Resolves once most have answered with nothing older than what is known, or all have had their time. */
  #askAll(
    hosts: readonly HostPort[],
  ): Promise<{ readonly answers: readonly [HostPort, Answer][]; readonly problems: readonly string[] }> {
    const answers: [HostPort, Answer][] = [];
    const problems: string[] = [];
    return new Promise((resolve) => {
      const settle = () => {
        const all = answers.length + problems.length === hosts.length;
        const most = answers.length > hosts.length / 2;
        const old = answers.every(([, { epoch }]) => epoch < this.#newest.epoch);
        if (all || (most && !old)) resolve({ answers, problems });
      };
      for (const host of hosts) {
        this.#ask(host).then(
          (answer) => {
            answers.push([host, answer]);
            settle();
          },
          (error: unknown) => {
            problems.push(`${print(host)}: ${textOf(error)}`);
            settle();
          },
        );
      }
    });
  }

  async #ask(host: HostPort): Promise<Answer> {
    const asked = this.#asked.get(print(host)) ?? this.#connect(host);
    try {
      return this.#guides.kind === "sentinel"
        ? await askSentinel(asked.redis, this.#guides.name)
        : await askNode(asked.redis, host);
    } catch (error) {
      throw asked.problem ?? error;
    }
  }

  /** The connection is kept for the next question; when it is lost, that question opens another. */
  #connect(host: HostPort): Asked {
    const name = print(host);
    const redis = new Redis({
      ...host,
      ...this.#guides.login,
      ...(this.#tls === undefined ? {} : { tls: this.#tls }),
      connectionName: "sharmo-relay-guide",
      protocol: 2,
      connectTimeout: askMs,
      commandTimeout: askMs,
      socketTimeout: askMs,
      disconnectTimeout: 250,
      retryStrategy: () => null,
      maxRetriesPerRequest: 0,
      enableReadyCheck: false,
    });
    const asked: Asked = { redis, problem: undefined };
    redis.on("error", (error: Error) => {
      asked.problem = error;
    });
    redis.once("end", () => this.#asked.delete(name));
    this.#asked.set(name, asked);
    return asked;
  }
}

interface Asked {
  readonly redis: Redis;
  /** Why the connection was lost, which its commands do not tell. */
  problem: Error | undefined;
}

/** Sentinels tell the address of the new master as soon as it is one, and the epoch of that decision. */
async function askSentinel(redis: Redis, name: string): Promise<Answer> {
  const [address, master, sentinels] = await Promise.all([
    redis.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", name),
    redis.call("SENTINEL", "MASTER", name).catch(() => []),
    redis.call("SENTINEL", "SENTINELS", name).catch(() => []),
  ]);
  const [host, port] = list(address).map(String);
  if (host === undefined || port === undefined) throw new Error("it knows no master of that name");
  return {
    master: { host, port: Number(port) },
    epoch: Number(fields(master).get("config-epoch") ?? 0),
    others: list(sentinels).flatMap((one) => {
      const known = fields(one);
      return hostPort(known.get("ip"), known.get("port"));
    }),
  };
}

/** `CLUSTER SLOTS` has the addresses that clients are to use, `CLUSTER NODES` the epochs. */
async function askNode(redis: Redis, self: HostPort): Promise<Answer> {
  const [slots, nodes] = await Promise.all([
    redis.call("CLUSTER", "SLOTS"),
    redis.call("CLUSTER", "NODES").catch(() => ""),
  ]);
  const ranges = list(slots).map(list);
  const own = ranges.find(([from, to]) => Number(from) <= slot && slot <= Number(to));
  const [host, port, id] = list(own?.[2]);
  // A node that does not know its own address leaves it out: it is the one that was reached.
  const [master] = hostPort(host === null || host === "" || host === "?" ? self.host : host, port);
  if (master === undefined) throw new Error("CLUSTERDOWN it knows no master of the log's slot");
  const line = String(nodes)
    .split("\n")
    .find((one) => one.startsWith(`${String(id)} `));
  return {
    master,
    epoch: Number(line?.split(" ")[6] ?? 0),
    others: ranges.flatMap((range) => range.slice(2).flatMap((node) => hostPort(...list(node)))),
  };
}

function hostPort(host?: unknown, port?: unknown): HostPort[] {
  const number = Number(port);
  return typeof host === "string" && host !== "" && host !== "?" && number > 0
    ? [{ host, port: number }]
    : [];
}

function list(reply: unknown): readonly unknown[] {
  return Array.isArray(reply) ? reply : [];
}

/** Names and values that come in turn. */
function fields(reply: unknown): Map<string, string> {
  const items = list(reply).map(String);
  return new Map(items.flatMap((name, at) => (at % 2 === 0 ? [[name, items[at + 1] ?? ""] as const] : [])));
}

function unique(hosts: readonly HostPort[]): HostPort[] {
  return [...new Map(hosts.map((host) => [print(host), host])).values()];
}
