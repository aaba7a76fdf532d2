import { createRelay } from "@sharmo-relay/client";
import { createRoot } from "react-dom/client";
import { App } from "./app.tsx";
import { openLive } from "./live.ts";
import "./styles/base.css";
import { createTokenSource } from "./token.ts";

const source = createTokenSource((path, init) => fetch(path, init));

/** A connection of its own for each person: nothing of the last one stays on the page. */
const open = () =>
  openLive(
    createRelay({ url: location.origin, token: ({ reason, signal }) => source.provide(reason, signal) }),
  );

const root = document.getElementById("root");
if (root !== null) createRoot(root).render(<App source={source} first={open()} open={open} />);
