import { createHmac } from "node:crypto";
import { describe, expect, it } from "vitest";
import { freePort, startReceiver } from "../receiver.test-receiver.ts";
import { register } from "./register.ts";

const secret = "whsec_T3stT3stT3st";
const echo = ({ text }: { text: string }) => ({
  status: 200,
  body: JSON.stringify({ challenge: (JSON.parse(text) as { data: { challenge: string } }).data.challenge }),
});

describe("register", () => {
  it("should post exactly the vendor's challenge, unsigned without a secret", async () => {
    const receiver = await startReceiver(echo);
    expect(await register({ url: receiver.url, challenge: "abc123xyz456" })).toEqual({
      ok: true,
      challenge: "abc123xyz456",
    });
    const [request] = receiver.requests;
    expect(request?.text).toBe('{"type":"webhook.verification","data":{"challenge":"abc123xyz456"}}');
    expect(Object.keys(request?.headers ?? {}).filter((name) => name.includes("signature"))).toEqual([]);
  });

  it("should sign it with a secret, and make a new challenge each time", async () => {
    const receiver = await startReceiver(echo);
    const first = await register({ url: receiver.url, secret });
    const second = await register({ url: receiver.url, secret });
    expect([first.ok, second.ok]).toEqual([true, true]);
    const [one, two] = receiver.requests;
    expect(one?.text).not.toBe(two?.text);
    expect(one?.headers["x-sharmo-signature"]).toBe(
      createHmac("sha256", secret)
        .update(one?.body ?? "")
        .digest("hex"),
    );
  });

  it("should say what was wrong with the answer", async () => {
    const cases = [
      [{ status: 200, body: '{"challenge":"other"}' }, 'expected {"challenge":"c1"}'],
      [{ status: 200, body: "c1" }, 'expected {"challenge":"c1"}'],
      [{ status: 200, body: "null" }, 'expected {"challenge":"c1"}'],
      [{ status: 201, body: '{"challenge":"c1"}' }, "expected status 200"],
      [{ status: 401, body: "{}" }, "expected status 200"],
    ] as const;
    for (const [answer, reason] of cases) {
      const receiver = await startReceiver(() => answer);
      expect(await register({ url: receiver.url, challenge: "c1" })).toMatchObject({
        ok: false,
        reason,
        status: answer.status,
      });
    }
    const port = await freePort();
    expect(await register({ url: `http://127.0.0.1:${port}/` })).toEqual({
      ok: false,
      reason: `nothing listens at 127.0.0.1:${port}`,
    });
  });
});
