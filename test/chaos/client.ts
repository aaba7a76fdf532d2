/** What all clients of a run have: a wire that leads to some node, and a token. */
import { createSecretKey } from "node:crypto";
import { SignJWT } from "jose";
import type { Follower, Sight } from "./history.ts";
import { jwtSecret } from "./nodes.ts";
import { defaultGrants } from "./topics.ts";
import { Wire } from "./wire.ts";

export interface Claims {
  readonly sub: string;
  readonly scope?: string;
  readonly wallets?: readonly string[];
  /** Seconds. Default: a day. */
  readonly lifetime?: number;
}

export interface ClientOptions {
  readonly name: string;
  readonly claims: Claims;
  /** One follower for each. */
  readonly subscriptions: readonly Subscription[];
  /** It asks for what its token does not grant. */
  readonly refused?: boolean;
  /** How much its line takes. */
  readonly bytesPerSecond?: number;
  readonly node: number;
  readonly portOf: (node: number) => number;
}

export interface Subscription {
  readonly topic: string;
  readonly snapshot?: boolean;
}

/** A client that can be cut off, led elsewhere, and ended. */
export interface Client {
  readonly name: string;
  readonly followers: readonly Follower[];
  readonly seat: Seat;
  start(): void;
  /** Its process ends; another one goes on at the node from the cursors that were kept. */
  restart(node: number): void;
  /** Whoever reads slowly on purpose stops doing so. */
  hurry?(): void;
  close(): void;
}

/** Where a client is connected. */
export class Seat {
  readonly wire: Wire;
  node: number;

  private constructor(wire: Wire, node: number) {
    this.wire = wire;
    this.node = node;
  }

  static async take({
    node,
    portOf,
    bytesPerSecond = Number.POSITIVE_INFINITY,
  }: ClientOptions): Promise<Seat> {
    const wire = await Wire.open(() => portOf(seat.node));
    wire.bytesPerSecond = bytesPerSecond;
    const seat = new Seat(wire, node);
    return seat;
  }

  /** The next connection leads to the node. */
  move(node: number): void {
    this.node = node;
    this.wire.cut();
  }
}

const key = createSecretKey(Buffer.from(jwtSecret));

export function tokenOf({ sub, scope, wallets, lifetime = 86_400 }: Claims): Promise<string> {
  return new SignJWT({
    ...(scope === undefined ? {} : { scope }),
    ...(wallets === undefined ? {} : { wallets }),
  })
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(sub)
    .setIssuedAt()
    .setExpirationTime(Math.floor(Date.now() / 1_000) + lifetime)
    .sign(key);
}

/** The topics that a token grants, as the documents say. */
function grantsOf({ sub, scope = "", wallets = [] }: Claims): string[] {
  const named = scope.split(" ").filter((word) => word.startsWith("events:"));
  return [
    ...defaultGrants,
    ...named.map((word) => word.slice("events:".length)),
    ...wallets.flatMap((wallet) =>
      ["token.*", "transaction.*"].map((pattern) => `${pattern}?address=${wallet.toLowerCase()}`),
    ),
    `user.*?user_id=${sub}`,
  ];
}

/** A follower with its notebook. */
export class Notes implements Follower {
  readonly name: string;
  readonly sees: Follower["sees"];
  readonly topics: readonly string[];
  readonly grants: readonly string[];
  readonly refused: boolean;
  readonly sights: Sight[] = [];
  /** By handlers. */
  handled = 0;

  constructor(
    { name, claims, refused = false }: ClientOptions,
    topics: readonly string[],
    sees: Follower["sees"],
  ) {
    this.name = `${name} ${topics.join(" ")}`;
    this.sees = sees;
    this.topics = topics;
    this.grants = grantsOf(claims);
    this.refused = refused;
  }

  add(sight: Sight): void {
    this.sights.push(sight);
    if (sight.kind === "event" && sight.handled) this.handled += 1;
  }
}
