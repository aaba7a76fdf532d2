/** Loaded before a server under test, with --expose-gc: SIGUSR2 collects all garbage and says what memory is left. */
process.on("SIGUSR2", () => {
  // the second finds what the first one's finalizers let go
  globalThis.gc();
  setTimeout(() => {
    globalThis.gc();
    process.stderr.write(`collected ${JSON.stringify(process.memoryUsage())}\n`);
  }, 100);
});
