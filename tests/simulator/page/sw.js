// A service worker that keeps the document as it was when the page first ran, and gives out that.

const KEPT = "documents";

self.addEventListener("install", (event) => {
  self.skipWaiting();
  event.waitUntil(caches.open(KEPT).then((cache) => cache.add("/")));
});
self.addEventListener("activate", (event) => event.waitUntil(fetch("/active")));
self.addEventListener("fetch", (event) => {
  if (event.request.mode === "navigate") {
    event.respondWith(caches.open(KEPT).then((cache) => cache.match("/")));
  }
});
