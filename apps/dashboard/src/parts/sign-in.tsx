import { type FormEvent, useId, useState } from "react";
import styles from "./sign-in.module.css";

interface SignInProps {
  /** Why a token that was given did not do, in words. */
  readonly problem: string | undefined;
  /** Answers why the token cannot be right. */
  readonly onToken: (token: string) => string | undefined;
}

/** For a relay in production: the token comes from the operator, stays in memory, and is gone with the page. */
export function SignIn({ problem: refused, onToken }: SignInProps) {
  const [token, setToken] = useState("");
  const [unusable, setUnusable] = useState<string>();
  const problem = unusable ?? refused;
  const field = useId();
  const hint = useId();
  const trouble = useId();
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    const given = token.trim().replace(/^Bearer\s+/i, "");
    if (given !== "") setUnusable(onToken(given));
  };
  return (
    <main className={styles["page"]}>
      <form className={styles["card"]} onSubmit={submit}>
        <h2>Sign in</h2>
        <p id={hint}>
          Paste an access token (a JWT) that your backend made for this relay. It is kept in this page’s
          memory only and is gone when you close or reload it.
        </p>
        <label htmlFor={field}>Access token</label>
        <textarea
          id={field}
          value={token}
          onChange={(event) => setToken(event.target.value)}
          rows={4}
          spellCheck={false}
          autoComplete="off"
          autoCapitalize="off"
          placeholder="eyJhbGciOi…"
          aria-describedby={problem === undefined ? hint : `${trouble} ${hint}`}
          aria-invalid={problem !== undefined}
        />
        <p id={trouble} role="alert" className={styles["problem"]}>
          {problem}
        </p>
        <button type="submit" disabled={token.trim() === ""}>
          Show live events
        </button>
      </form>
    </main>
  );
}
