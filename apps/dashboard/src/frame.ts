/**
 * Runs a step at most once per animation frame, however often it is asked for: many events, one render. A hidden
 * page has no frames; there the step runs as a task.
 */

export interface FrameHost {
  readonly hidden: () => boolean;
  readonly requestFrame: (run: () => void) => void;
  readonly requestTask: (run: () => void) => void;
  /** Calls back whenever the page may have become hidden. */
  readonly onVisibility: (listener: () => void) => void;
}

/** Answers the function that asks for the step. */
export function perFrame(step: () => void, host: FrameHost): () => void {
  let wanted = false;
  const run = (): void => {
    // Both a frame and a task may have been asked for; the first that comes takes it.
    if (!wanted) return;
    wanted = false;
    step();
  };
  // A frame that was asked for before the page was hidden would not come.
  host.onVisibility(() => {
    if (wanted && host.hidden()) host.requestTask(run);
  });
  return () => {
    if (wanted) return;
    wanted = true;
    if (host.hidden()) host.requestTask(run);
    else host.requestFrame(run);
  };
}

export function browserFrames(): FrameHost {
  return {
    hidden: () => document.hidden,
    requestFrame: (run) => requestAnimationFrame(run),
    requestTask: (run) => setTimeout(run, 0),
    onVisibility: (listener) => document.addEventListener("visibilitychange", listener),
  };
}
