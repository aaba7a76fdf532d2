/** Who sent a request, and whether that address is on a list. */
import type { IncomingMessage } from "node:http";
import { BlockList, isIP } from "node:net";

/** True for what a list may hold: an IPv4 or IPv6 address, or a network `<address>/<prefix>`. */
export function isAddressOrNetwork(text: string): boolean {
  return parse(text) !== undefined;
}

interface Network {
  readonly address: string;
  readonly family: "ipv4" | "ipv6";
  readonly prefix: number;
}

function parse(text: string): Network | undefined {
  const [, address = "", bits] = /^([^/%]+)(?:\/(0|[1-9][0-9]{0,2}))?$/.exec(text) ?? [];
  const version = isIP(address);
  if (version === 0) return undefined;
  const longest = version === 4 ? 32 : 128;
  const prefix = bits === undefined ? longest : Number(bits);
  return prefix > longest ? undefined : { address, family: version === 4 ? "ipv4" : "ipv6", prefix };
}

/** A set of addresses and networks; an IPv4 address and its IPv6 form `::ffff:…` are the same. */
export interface Networks {
  readonly empty: boolean;
  has(address: string): boolean;
}

/** Throws a `RangeError` for an item that `isAddressOrNetwork` does not take. */
export function networksOf(items: readonly string[]): Networks {
  const list = new BlockList();
  for (const item of items) {
    const network = parse(item);
    if (network === undefined) throw new RangeError(`${JSON.stringify(item)} is no address and no network`);
    list.addSubnet(network.address, network.prefix, network.family);
  }
  return {
    empty: items.length === 0,
    has: (address) => {
      const version = isIP(address);
      return version !== 0 && list.check(address, version === 4 ? "ipv4" : "ipv6");
    },
  };
}

/** Where the address of a request is unknown, as on a Unix socket. On no list. */
const unknownAddress = "unknown";

/**
 * The address of the sender. `X-Forwarded-For` is written by whoever likes to, except for what our own proxies
 * appended: so it is read from the right, and only as long as the one who wrote an item is trusted.
 */
export function clientAddress(request: IncomingMessage, trusted: Networks): string {
  let address = plainAddress(request.socket.remoteAddress ?? "") ?? unknownAddress;
  if (trusted.empty || !trusted.has(address)) return address;
  const header = request.headers["x-forwarded-for"];
  // Node joins several headers with commas, in their order.
  const items = (Array.isArray(header) ? header.join(",") : (header ?? "")).split(",");
  for (let i = items.length - 1; i >= 0 && trusted.has(address); i--) {
    const before = plainAddress((items[i] ?? "").trim());
    // What a trusted proxy wrote and is no address hides all that stands left of it.
    if (before === undefined) return address;
    address = before;
  }
  return address;
}

/** Without port, brackets and zone; an IPv4 address in IPv6 form as IPv4. */
function plainAddress(text: string): string | undefined {
  const [, bracketed, withPort] = /^(?:\[([^\]]+)\](?::[0-9]{1,5})?|([0-9.]+):[0-9]{1,5})$/.exec(text) ?? [];
  const address = (bracketed ?? withPort ?? text).replace(/%.*$/, "");
  if (isIP(address) === 0) return undefined;
  const mapped = /^::ffff:([0-9.]+)$/i.exec(address)?.[1];
  return mapped ?? address.toLowerCase();
}
