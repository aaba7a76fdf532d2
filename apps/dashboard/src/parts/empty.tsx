import type { ReactNode } from "react";
import styles from "./empty.module.css";

interface EmptyProps {
  readonly title: string;
  readonly children?: ReactNode;
}

/** What stands where nothing is yet. */
export function Empty({ title, children }: EmptyProps) {
  return (
    <div className={styles["empty"]}>
      <p className={styles["title"]}>{title}</p>
      {children}
    </div>
  );
}

/** How to make a first event happen, with commands that can be copied as they stand. */
export function FirstEvent({ origin }: { readonly origin: string }) {
  return (
    <>
      <p>
        Prices appear here as Sharmo sends them to <code>{origin}/api/sharmo-webhooks</code>. To try it now,
        run the simulated market:
      </p>
      <Command
        lines={[
          `npm run sim -- run --url ${origin}/api/sharmo-webhooks \\`,
          "  --secret-file data/dev-secrets.json",
        ]}
      />
      <p>or sign and post one event yourself:</p>
      <Command lines={curl(origin)} />
    </>
  );
}

function Command({ lines }: { readonly lines: readonly string[] }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
    <pre className={styles["command"]} tabIndex={0}>
      <code>{lines.join("\n")}</code>
    </pre>
  );
}

function curl(origin: string): readonly string[] {
  return [
    "SECRET=$(node -p 'require(\"./data/dev-secrets.json\").webhook_secret')",
    `BODY='{"id":"evt_'$(date +%s)'","type":"token.price_changed",`,
    `"created_at":"'$(date -u +%FT%TZ)'",`,
    `"data":{"token_id":"tok_1","symbol":"DEMO","current_price":101.5}}'`,
    `curl ${origin}/api/sharmo-webhooks -H 'content-type: application/json' \\`,
    '  -H "X-Sharmo-Signature: $(printf %s "$BODY" |',
    `    openssl dgst -sha256 -hmac "$SECRET" -r | cut -c1-64)" --data-raw "$BODY"`,
  ];
}
