import react from "@vitejs/plugin-react";
import { defaultClientConditions, defineConfig } from "vite";

/** A running relay for `vite` in development, which serves the page itself. */
const relay = "http://127.0.0.1:3000";

export default defineConfig({
  plugins: [react()],
  // The SDK's sources: the page is always of one piece with them.
  resolve: { conditions: ["sharmo-source", ...defaultClientConditions] },
  build: {
    target: "es2023",
    sourcemap: true,
    // The relay's page allows no inline code and no data: addresses.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: { "/socket.io": { target: relay, ws: true }, "/dev/token": relay },
  },
});
