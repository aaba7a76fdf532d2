import type { IncomingMessage } from "node:http";
import { describe, expect, it } from "vitest";
import { clientAddress, isAddressOrNetwork, networksOf } from "./address.ts";

describe("an address or network in a setting", () => {
  it("is IPv4 or IPv6, with a prefix that fits", () => {
    const right = [
      "203.0.113.9",
      "10.0.0.0/8",
      "0.0.0.0/0",
      "1.2.3.4/32",
      "::1",
      "2001:db8::/32",
      "::/0",
      "::1/128",
    ];
    for (const text of [...right, "::ffff:1.2.3.4", "::ffff:10.0.0.0/104"])
      expect([text, isAddressOrNetwork(text)]).toEqual([text, true]);
    const wrong = [
      "",
      " ",
      "1.2.3",
      "1.2.3.4.5",
      "1.2.3.256",
      "01.2.3.4",
      "1.2.3.4/33",
      "1.2.3.4/",
      "1.2.3.4/08",
      "1.2.3.4/-1",
    ];
    const wrongToo = [
      "::1/129",
      "::1/1/1",
      "fe80::1%eth0",
      "[::1]",
      "localhost",
      "*",
      "1.2.3.4:80",
      "1.2.3.4 ",
      "10.0.0.0/255.0.0.0",
    ];
    for (const text of [...wrong, ...wrongToo]) {
      expect([text, isAddressOrNetwork(text)]).toEqual([text, false]);
      expect(() => networksOf([text])).toThrow(RangeError);
    }
  });
});

describe("a set of networks", () => {
  it("has what lies inside, of both families", () => {
    const networks = networksOf(["10.1.0.0/17", "203.0.113.9", "2001:db8:8000::/33", "::1"]);
    for (const address of [
      "10.1.0.0",
      "10.1.127.255",
      "203.0.113.9",
      "2001:db8:ffff::1",
      "2001:DB8:8000:0::1",
      "::1",
    ]) {
      expect([address, networks.has(address)]).toEqual([address, true]);
    }
    for (const address of [
      "10.1.128.0",
      "10.0.255.255",
      "203.0.113.8",
      "2001:db8:7fff::1",
      "::2",
      "",
      "unknown",
      "::",
    ]) {
      expect([address, networks.has(address)]).toEqual([address, false]);
    }
  });

  it("takes an IPv4 address and its IPv6 form for the same, on either side", () => {
    const plain = networksOf(["10.0.0.0/8"]);
    for (const address of ["10.1.2.3", "::ffff:10.1.2.3", "::FFFF:a01:203"])
      expect(plain.has(address)).toBe(true);
    expect(plain.has("::ffff:11.1.2.3")).toBe(false);
    const mapped = networksOf(["::ffff:10.0.0.0/104"]);
    expect([mapped.has("10.1.2.3"), mapped.has("11.1.2.3")]).toEqual([true, false]);
  });
});

describe("the address of the sender", () => {
  const from = (remoteAddress: string | undefined, forwarded?: string) =>
    ({
      socket: { remoteAddress },
      headers: forwarded === undefined ? {} : { "x-forwarded-for": forwarded },
    }) as unknown as IncomingMessage;
  const proxies = networksOf(["10.0.0.0/8", "::1"]);

  it("is that of the connection if nobody is trusted, whatever a header says", () => {
    expect(clientAddress(from("198.51.100.7", "1.1.1.1"), networksOf([]))).toBe("198.51.100.7");
    expect(clientAddress(from("198.51.100.7", "1.1.1.1"), proxies)).toBe("198.51.100.7");
    expect(clientAddress(from("::ffff:198.51.100.7"), networksOf([]))).toBe("198.51.100.7");
    expect(clientAddress(from("fe80::1%eth0"), networksOf([]))).toBe("fe80::1");
    expect(clientAddress(from(undefined, "10.1.1.1"), proxies)).toBe("unknown");
  });

  it("is the last one in X-Forwarded-For that no trusted proxy has", () => {
    expect(clientAddress(from("10.0.0.1", "198.51.100.7"), proxies)).toBe("198.51.100.7");
    expect(clientAddress(from("10.0.0.1", "6.6.6.6, 198.51.100.7"), proxies)).toBe("198.51.100.7");
    expect(clientAddress(from("10.0.0.1", "6.6.6.6,198.51.100.7 , 10.2.2.2,::1"), proxies)).toBe(
      "198.51.100.7",
    );
    expect(clientAddress(from("::ffff:10.0.0.1", "::ffff:198.51.100.7"), proxies)).toBe("198.51.100.7");
    expect(clientAddress(from("::1", "2001:DB8::5"), proxies)).toBe("2001:db8::5");
  });

  it("may be written with a port", () => {
    expect(clientAddress(from("10.0.0.1", "198.51.100.7:4711"), proxies)).toBe("198.51.100.7");
    expect(clientAddress(from("10.0.0.1", "[2001:db8::5]:4711"), proxies)).toBe("2001:db8::5");
    expect(clientAddress(from("10.0.0.1", "[2001:db8::5]"), proxies)).toBe("2001:db8::5");
  });

  it("is the proxy's where the proxy says none, or says what is no address", () => {
    expect(clientAddress(from("10.0.0.1"), proxies)).toBe("10.0.0.1");
    expect(clientAddress(from("10.0.0.1", ""), proxies)).toBe("10.0.0.1");
    expect(clientAddress(from("10.0.0.1", "198.51.100.7, unknown"), proxies)).toBe("10.0.0.1");
    expect(clientAddress(from("10.0.0.1", "198.51.100.7, _hidden, 10.3.3.3"), proxies)).toBe("10.3.3.3");
    expect(clientAddress(from("10.0.0.1", "10.9.9.9, 10.2.2.2"), proxies)).toBe("10.9.9.9");
  });
});
