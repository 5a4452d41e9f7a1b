// Makes the page follow changes and its forms work without leaving it. Everything works without this script too, by reloading.
//
// There is one way to learn what changed: fetch the page again and take over what differs from what is shown. What a person is
// typing is never overwritten. Text comes from the server escaped and is only ever moved as nodes, never as HTML of our own.
"use strict";
(() => {
  const token = document.querySelector('meta[name="csrf"]')?.content ?? "";
  const ours = new Set(["data-dirty", "data-fresh", "aria-busy", "open"]);

  // ---- what a person is typing

  const isControl = (node) => node.matches("input, textarea, select");

  function isDirty(control) {
    if (control.type === "hidden") return false;
    if (control.type === "radio" || control.type === "checkbox") return control.checked !== control.defaultChecked;
    if (control.tagName === "SELECT") {
      const preset = Math.max(0, [...control.options].findIndex((option) => option.defaultSelected));
      return control.selectedIndex !== preset;
    }
    return control.value !== control.defaultValue;
  }

  const hasDirty = (element) => [...element.querySelectorAll("input, textarea, select")].some(isDirty);

  function mark(form) {
    if (form) form.toggleAttribute("data-dirty", hasDirty(form));
  }

  // What was sent counts as what is shown, until the server says otherwise.
  function settle(form) {
    for (const control of form.elements) {
      if (control.type === "radio" || control.type === "checkbox") control.defaultChecked = control.checked;
      else if (control.tagName === "SELECT") for (const option of control.options) option.defaultSelected = option.selected;
      else if ("defaultValue" in control && control.type !== "hidden") control.defaultValue = control.value;
    }
    mark(form);
  }

  // ---- taking over what differs

  // Whether `old` is to stay although the server shows something else.
  function isHeld(old) {
    if (old.hasAttribute("data-hold") && hasDirty(old)) return true;
    if (!isControl(old)) return false;
    if (isDirty(old)) return true;
    const shown = old.name?.startsWith("was.") && old.form?.elements[`field.${old.name.slice(4)}`];
    return Boolean(shown && isDirty(shown));
  }

  function follow(old, fresh) {
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.nodeValue === fresh.nodeValue) return false;
      const visible = old.nodeValue.trim() !== fresh.nodeValue.trim();
      old.nodeValue = fresh.nodeValue;
      return visible;
    }
    if (isHeld(old)) return false;
    // Moments are shown in the reader's own time; the attribute says whether they are the same.
    if (old.tagName === "TIME" && old.dateTime === fresh.dateTime) return false;
    let changed = false;
    for (const { name } of [...old.attributes]) {
      if (!ours.has(name) && !fresh.hasAttribute(name)) old.removeAttribute(name);
    }
    for (const { name, value } of fresh.attributes) {
      if (ours.has(name) || old.getAttribute(name) === value) continue;
      old.setAttribute(name, value);
      changed ||= name === "value" || name === "class" || name === "selected";
    }
    if (isControl(old) && old.tagName === "INPUT" && old.type !== "radio") old.value = fresh.value;
    if (old.tagName === "TEXTAREA") {
      if (old.value !== fresh.value) changed = true;
      old.value = fresh.value;
      old.defaultValue = fresh.defaultValue;
      return changed;
    }
    if (followChildren(old, fresh)) changed = true;
    // Its options say what is chosen, but once somebody chose, saying is not enough.
    if (old.tagName === "SELECT") old.selectedIndex = Math.max(0, [...old.options].findIndex((option) => option.defaultSelected));
    return changed;
  }

  const keyOf = (node) => (node.nodeType === Node.ELEMENT_NODE ? node.dataset.key : undefined);

  function followChildren(old, fresh) {
    let changed = false;
    const keyed = new Map();
    const plain = [];
    for (const child of old.childNodes) {
      const key = keyOf(child);
      if (key === undefined) plain.push(child);
      else keyed.set(key, child);
    }
    let place = old.firstChild;
    for (const next of [...fresh.childNodes]) {
      const key = keyOf(next);
      let match;
      if (key !== undefined) {
        match = keyed.get(key);
        keyed.delete(key);
      } else {
        const index = plain.findIndex((child) => child.nodeName === next.nodeName);
        if (index >= 0) [match] = plain.splice(index, 1);
      }
      if (!match) {
        const added = document.importNode(next, true);
        old.insertBefore(added, place);
        if (key !== undefined) added.setAttribute("data-fresh", "");
        changed ||= added.nodeType === Node.ELEMENT_NODE;
        continue;
      }
      if (match === place) place = place.nextSibling;
      else old.insertBefore(match, place);
      if (follow(match, next)) {
        if (key === undefined) changed = true;
        else match.setAttribute("data-fresh", "");
      }
    }
    for (const gone of [...keyed.values(), ...plain]) {
      changed ||= gone.nodeType === Node.ELEMENT_NODE;
      gone.remove();
    }
    return changed;
  }

  function take(page) {
    for (const region of document.querySelectorAll("[data-live]")) {
      const fresh = page.querySelector(`[data-live="${CSS.escape(region.dataset.live)}"]`);
      if (fresh) follow(region, fresh);
    }
    tellTimes();
  }

  const parse = (html) => new DOMParser().parseFromString(html, "text/html");

  // ---- moments in the reader's own time

  function tellTimes() {
    const today = new Date().toDateString();
    for (const time of document.querySelectorAll("time[datetime]:not([title])")) {
      const at = new Date(time.dateTime);
      if (Number.isNaN(at.getTime())) continue;
      time.title = at.toLocaleString();
      time.textContent = at.toDateString() === today ? at.toLocaleTimeString() : at.toLocaleString();
    }
  }

  // ---- saying something

  function toast(text, tone) {
    const note = document.createElement("p");
    note.className = `toast ${tone}`;
    note.textContent = text;
    document.getElementById("toasts").append(note);
    setTimeout(() => note.remove(), 8000);
  }

  // ---- forms

  // Takes over from an answer what its fields hold by now; false if the form does not say what it showed.
  function tell(form, page) {
    const told = [...form.elements].filter((control) => control.name?.startsWith("was."));
    for (const control of told) {
      const now = page.querySelector(`input[name="${CSS.escape(control.name)}"]`);
      if (now) control.value = now.value;
    }
    return told.length > 0;
  }

  async function send(form, button) {
    const body = new URLSearchParams(new FormData(form, button));
    const action = button?.getAttribute("formaction") ?? form.getAttribute("action");
    form.setAttribute("aria-busy", "true");
    try {
      const response = await fetch(action, { method: "POST", body, headers: { "X-CSRF-Token": token } });
      const page = parse(await response.text());
      if (!response.ok) {
        toast(page.querySelector('[role="alert"]')?.textContent ?? `Refused (${response.status}).`, "bad");
        // What was decided on is not there any more: show what is. What was typed over it stays, and now says what it would replace.
        if (response.status === 409) {
          if (!tell(form, page)) form.reset();
          await refresh();
        }
        return;
      }
      if (form.hasAttribute("data-reset")) form.reset();
      else settle(form);
      mark(form);
      if (new URL(response.url).pathname === location.pathname) await refresh();
      else location.assign(response.url);
    } catch {
      toast("The server cannot be reached; nothing was saved.", "bad");
    } finally {
      form.removeAttribute("aria-busy");
    }
  }

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.hasAttribute("data-form")) return;
    event.preventDefault();
    if (form.getAttribute("aria-busy") !== "true") void send(form, event.submitter);
  });
  document.addEventListener("input", (event) => mark(event.target.form));
  document.addEventListener("change", (event) => mark(event.target.form));
  document.addEventListener("reset", (event) => setTimeout(() => mark(event.target)));
  document.addEventListener("animationend", (event) => event.target.removeAttribute?.("data-fresh"));
  // Typing another value chooses it.
  document.addEventListener("input", (event) => {
    const choice = event.target.matches(".choice > input.value") && event.target.parentElement.querySelector('input[type="radio"]');
    if (choice) choice.checked = true;
  });

  // ---- following

  const pulse = document.querySelector("[data-pulse]");
  let source;
  let planned = 0;
  let busy = false;
  let again = false;

  function show(state, text) {
    if (!pulse) return;
    pulse.dataset.pulse = state;
    pulse.textContent = text;
  }

  async function refresh() {
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    try {
      const response = await fetch(location.href, { cache: "no-store" });
      if (response.redirected && new URL(response.url).pathname === "/login") {
        source?.close();
        show("off", "logged out");
      } else if (response.ok) {
        take(parse(await response.text()));
      }
    } catch {
      show("wait", "reconnecting");
    } finally {
      busy = false;
      if (again) {
        again = false;
        plan();
      }
    }
  }

  function plan() {
    if (planned || document.hidden) return;
    planned = setTimeout(() => {
      planned = 0;
      void refresh();
    }, 150);
  }

  function connect() {
    source?.close();
    source = new EventSource("/api/events");
    source.onopen = () => {
      show("on", "live");
      plan();
    };
    source.onerror = () => {
      show("wait", "reconnecting");
      if (source.readyState === EventSource.CLOSED) setTimeout(() => document.hidden || connect(), 3000);
    };
    for (const kind of ["history", "changed", "missed"]) source.addEventListener(kind, plan);
  }

  tellTimes();
  if (document.body.hasAttribute("data-live-page")) {
    connect();
    // A browser opens only a few connections to one server: hidden pages give theirs back.
    document.addEventListener("visibilitychange", () => (document.hidden ? source.close() : connect()));
  }
})();
