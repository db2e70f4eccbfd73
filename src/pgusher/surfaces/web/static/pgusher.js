// The page is whole without this file. With it the page follows the server: it listens for "something was looked at",
// fetches itself, and puts the new content in the place of the old, without losing the focus, the scroll or what is open.
"use strict";
(() => {
  const live = document.getElementById("live");
  const body = document.body;
  let busy = false, again = false, lost = 0;

  const button = (pre) => {
    if (!navigator.clipboard || pre.querySelector(".copy")) return;
    const copy = document.createElement("button");
    copy.type = "button";
    copy.className = "copy";
    copy.textContent = "copy";
    copy.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(pre.querySelector("code").textContent);
        copy.textContent = "copied";
      } catch { copy.textContent = "could not copy"; }
      setTimeout(() => { copy.textContent = "copy"; }, 2000);
    });
    pre.prepend(copy);
  };
  const dress = () => document.querySelectorAll("pre.command").forEach(button);

  const path = (element) => {
    const steps = [];
    for (let node = element; node && node !== document.body; node = node.parentElement) {
      if (node.id) { steps.unshift("#" + CSS.escape(node.id)); break; }
      steps.unshift(`${node.tagName.toLowerCase()}:nth-child(${[...node.parentElement.children].indexOf(node) + 1})`);
    }
    return steps.join(" > ");
  };
  const mark = (link) => link && link.getAttribute("href");
  const selecting = () => { const s = getSelection(); return s && !s.isCollapsed && document.getElementById("main").contains(s.anchorNode); };
  const typing = () => ["INPUT", "TEXTAREA", "SELECT"].includes(document.activeElement && document.activeElement.tagName);

  const refresh = async () => {
    if (busy) { again = true; return; }
    if (document.hidden || selecting() || typing()) { return; }
    busy = true;
    try {
      const answer = await fetch(location.href, { headers: { "X-Pgusher-Part": "main" }, credentials: "same-origin", cache: "no-store" });
      if (!answer.ok && answer.status !== 404) throw new Error(String(answer.status));
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("main"), old = document.getElementById("main");
      if (!fresh || selecting() || typing()) return;
      const focus = old.contains(document.activeElement) ? document.activeElement : null;
      const where = focus && path(focus), href = mark(focus);
      const open = [...old.querySelectorAll("details")].map((one) => one.open);
      const scrolled = [...old.querySelectorAll(".scroll")].map((one) => one.scrollLeft);
      const top = scrollY;
      old.replaceWith(document.adoptNode(fresh));
      const main = document.getElementById("main");
      main.querySelectorAll("details").forEach((one, at) => { if (at < open.length) one.open = open[at]; });
      main.querySelectorAll(".scroll").forEach((one, at) => { if (at < scrolled.length) one.scrollLeft = scrolled[at]; });
      const same = href && [...main.querySelectorAll("a")].find((one) => mark(one) === href);
      const target = same || (where && main.querySelector(where));
      if (target) target.focus({ preventScroll: true });
      scrollTo({ top, behavior: "instant" });
      document.title = page.title;
      // How full each server is stands beside its name.
      const pages = document.querySelector("header nav"), newer = page.querySelector("header nav");
      if (pages && newer && pages.innerHTML !== newer.innerHTML) {
        const at = pages.contains(document.activeElement) ? path(document.activeElement) : null;
        pages.replaceChildren(...[...newer.childNodes].map((one) => document.adoptNode(one)));
        const link = at && document.body.querySelector(`:scope > ${at}`);
        if (link) link.focus({ preventScroll: true });
      }
      const said = page.getElementById("live");
      if (said) { live.innerHTML = ""; live.append(...[...said.childNodes].map((one) => document.adoptNode(one))); }
      dress();
      live.classList.remove("lost");
    } catch {
      live.textContent = "this page could not be read anew";
      live.classList.add("lost");
    } finally {
      busy = false;
      if (again) { again = false; setTimeout(refresh, 200); }
    }
  };

  dress();
  if (body.hasAttribute("data-still")) return;
  const listen = () => {
    const source = new EventSource("/events");
    source.addEventListener("look", () => { lost = 0; refresh(); });
    source.addEventListener("error", () => {
      lost += 1;
      if (lost > 1) { live.textContent = "pgusher serve does not answer: what is shown is old"; live.classList.add("lost"); }
      if (source.readyState === EventSource.CLOSED) setTimeout(listen, 5000);
    });
  };
  listen();
  document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
})();
