import { useEffect, useState, useSyncExternalStore } from "react";
import type { Live } from "./live-state.ts";
import { LivePage } from "./pages/live.tsx";
import { Header } from "./parts/header.tsx";
import { SignIn } from "./parts/sign-in.tsx";
import type { TokenSource } from "./token.ts";

interface AppProps {
  readonly source: TokenSource;
  readonly first: Live;
  readonly open: () => Live;
}

/** Signed in: the live page. Not signed in: the box for a token. */
export function App({ source, first, open }: AppProps) {
  const [live, setLive] = useState(first);
  const token = useSyncExternalStore(source.subscribe, source.state);
  useRefusals(live, source);

  if (token.kind === "needed") {
    const signIn = (given: string): string | undefined => {
      const problem = source.give(given);
      if (problem === undefined) {
        live.close();
        setLive(open());
      }
      return problem;
    };
    return (
      <>
        <Header />
        <SignIn problem={token.problem} onToken={signIn} />
      </>
    );
  }
  return <LivePage live={live} development={token.kind === "development"} />;
}

/** A pasted token that the relay does not take brings the box back, with the relay's words. */
function useRefusals(live: Live, source: TokenSource): void {
  useEffect(() => {
    const look = (): void => {
      const { connection } = live.state();
      if (connection.state === "refused") source.refuse(connection.explanation);
    };
    look();
    return live.subscribe(look);
  }, [live, source]);
}
