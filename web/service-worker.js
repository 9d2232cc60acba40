// Makes the page work without a network after the first visit. Each build has a separate cache. The page itself
// comes from the network if possible, so that a new build is found.
const CACHE = "nstlib-@BUILD@";
const SHELL = [/*@SHELL@*/];
const ISOLATED = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(SHELL)).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  const old = async () => {
    for (const name of await caches.keys()) if (name.startsWith("nstlib-") && name !== CACHE) await caches.delete(name);
    await self.clients.claim();
  };
  event.waitUntil(old());
});

// Adds the headers that let WebAssembly use threads, for hosts that cannot set headers.
const isolated = (answer) => {
  const headers = new Headers(answer.headers);
  for (const [name, value] of Object.entries(ISOLATED)) headers.set(name, value);
  return new Response(answer.body, { status: answer.status, statusText: answer.statusText, headers });
};

self.addEventListener("fetch", (event) => {
  const { request } = event, url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== location.origin) return;
  const answer = async () => {
    const store = await caches.open(CACHE), find = () => store.match(request, { ignoreSearch: true });
    if (request.mode === "navigate") {
      return isolated(await fetch(request).catch(async () => (await find()) ?? store.match("./")));
    }
    const kept = await find();
    if (kept) return request.destination === "worker" ? isolated(kept) : kept;
    const fresh = await fetch(request);
    if (fresh.ok) store.put(request, fresh.clone()).catch(() => {});
    return request.destination === "worker" ? isolated(fresh) : fresh;
  };
  event.respondWith(answer());
});
