/// What the pages do besides, where a browser runs scripts: they take in changes as they happen.
/// Everything works without it.
let scriptText = #"""
    "use strict";
    (() => {
      const byId = (id) => document.getElementById(id);
      const pause = 700;
      let last = 0, timer = 0, isBusy = false, isDue = false, said = 0, words = "";

      // Makes `now` what `next` is and keeps every node that stays, so that focus, opened details
      // and the place on the page stay too.
      function take(now, next) {
        if (now.nodeType !== next.nodeType || now.nodeName !== next.nodeName) {
          now.replaceWith(document.importNode(next, true));
          return;
        }
        if (now.nodeType !== Node.ELEMENT_NODE) {
          if (now.nodeValue !== next.nodeValue) now.nodeValue = next.nodeValue;
          return;
        }
        for (const { name } of [...now.attributes]) {
          const isOpen = name === "open" && now.nodeName === "DETAILS";
          if (!next.hasAttribute(name) && !isOpen && name !== "class") now.removeAttribute(name);
        }
        for (const { name, value } of next.attributes) {
          if (now.getAttribute(name) !== value) now.setAttribute(name, value);
        }
        const kept = new Map();
        for (const child of now.children) if (child.id) kept.set(child.id, child);
        let at = now.firstChild;
        for (const child of [...next.childNodes]) {
          const same = child.id ? kept.get(child.id) : null;
          if (same) {
            if (same !== at) now.insertBefore(same, at); else at = at.nextSibling;
            take(same, child);
          } else if (child.id || !at || at.id) {
            const fresh = document.importNode(child, true);
            if (child.id) fresh.classList.add("fresh");
            now.insertBefore(fresh, at);
          } else {
            const after = at.nextSibling;
            take(at, child);
            at = after;
          }
        }
        while (at) {
          const after = at.nextSibling;
          at.remove();
          at = after;
        }
      }

      // Lets the list of choices `now` have those of `next`, each in its place. Those that stay are
      // not touched, so what is chosen stays chosen, also where it is no choice any more.
      function offer(now, next) {
        const kept = new Map();
        for (const option of now.options) kept.set(option.value, option);
        let at = now.options[0] ?? null;
        for (const option of next.options) {
          const same = kept.get(option.value);
          if (same) {
            kept.delete(option.value);
            at = same.nextElementSibling;
            continue;
          }
          const fresh = document.importNode(option, true);
          fresh.removeAttribute("selected");
          now.insertBefore(fresh, at);
        }
        for (const option of kept.values()) if (!option.selected) option.remove();
      }

      async function refresh() {
        if (isBusy) { isDue = true; return; }
        isBusy = true;
        try {
          const answer = await fetch(location.href, { cache: "no-store" });
          if (!answer.ok || answer.redirected) return;
          const next = new DOMParser().parseFromString(await answer.text(), "text/html");
          for (const part of document.querySelectorAll("[data-live]")) {
            const fresh = next.getElementById(part.id);
            if (fresh) take(part, fresh);
          }
          for (const part of document.querySelectorAll(".filter select, .filter datalist")) {
            const fresh = next.getElementById(part.id);
            if (fresh) offer(part, fresh);
          }
          for (const id of ["clock", "trouble", "demo"]) {
            const part = byId(id), fresh = next.getElementById(id);
            if (part && fresh && part.innerHTML !== fresh.innerHTML) take(part, fresh);
          }
          wind();
        } catch { /* the next event tries again */ } finally {
          isBusy = false;
          last = Date.now();
          if (isDue) { isDue = false; soon(); }
        }
      }

      function soon() {
        if (timer) return;
        timer = setTimeout(() => { timer = 0; refresh(); }, Math.max(0, last + pause - Date.now()));
      }

      // Speaks at most every three seconds, and not of percents.
      function say(text) {
        words = text;
        if (said) return;
        byId("said").textContent = text;
        const spoken = text;
        said = setTimeout(() => {
          said = 0;
          if (words !== spoken) say(words);
        }, 3000);
      }

      let wound = null;
      function wind() {
        const now = byId("now");
        if (now) {
          wound = { base: Number(now.dataset.seconds), rate: Number(now.dataset.rate),
            at: performance.now() };
        }
      }
      function tick() {
        const now = byId("now");
        if (!now || !wound || !wound.rate) return;
        const passed = (performance.now() - wound.at) / 1000 * wound.rate;
        const text = new Date((946684800 + wound.base + passed) * 1000).toISOString();
        now.textContent = text.slice(0, 19).replace("T", " ");
      }

      if (!document.querySelector("[data-live]") || !window.EventSource) return;
      wind();
      setInterval(tick, 1000);
      setInterval(() => { if (!document.hidden) soon(); }, 10000);
      const source = new EventSource("/events");
      let hasLost = false;
      source.onopen = () => { byId("link").hidden = true; if (hasLost) soon(); hasLost = false; };
      source.onerror = () => { byId("link").hidden = false; hasLost = true; };
      source.addEventListener("tracking", (event) => {
        soon();
        const data = JSON.parse(event.data);
        if (data.percent === undefined) {
          say((data.device ? "Device " + data.device.slice(-6) + ": " : "") + data.words);
        }
      });
      source.addEventListener("world", (event) => {
        soon();
        say(JSON.parse(event.data).detail);
      });
      for (const name of ["notice", "dropped"]) source.addEventListener(name, soon);
      document.addEventListener("visibilitychange", () => { if (!document.hidden) soon(); });
    })();

    """#

let iconText = #"""
    <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="6"
    fill="#14283c"/><path d="M16 6v12m0 0l-5-5m5 5l5-5M8 24h16" fill="none" stroke="#fff"
    stroke-width="3" stroke-linecap="round" stroke-linejoin="round"/></svg>

    """#
