// What pages need beyond links and forms: theme and size, dropping files, ticking all, asking before something big.
"use strict";
(() => {
  const root = document.documentElement;
  const kept = (key) => { try { return localStorage.getItem(key); } catch { return null; } };
  const keep = (key, value) => { try { localStorage.setItem(key, value); } catch { /* private window */ } };
  for (const key of ["theme", "size"]) if (kept(key)) root.dataset[key] = kept(key);

  const pressed = () => {
    for (const button of document.querySelectorAll("[data-turn]")) {
      const [key, value] = button.dataset.turn.split(":");
      button.setAttribute("aria-pressed", String(root.dataset[key] === value));
    }
  };
  document.addEventListener("DOMContentLoaded", pressed);

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-turn]");
    if (button) {
      const [key, value] = button.dataset.turn.split(":");
      root.dataset[key] = root.dataset[key] === value ? "" : value;
      keep(key, root.dataset[key]);
      pressed();
    }
    const twist = event.target.closest(".twist");
    if (twist && twist.getAttribute("aria-expanded") === "true") {
      event.preventDefault(); event.stopImmediatePropagation();
      twist.setAttribute("aria-expanded", "false");
      document.getElementById(twist.getAttribute("aria-controls")).replaceChildren();
    } else if (twist) twist.setAttribute("aria-expanded", "true");
    const add = event.target.closest("[data-add]");
    if (add) {
      const box = document.querySelector(add.dataset.add);
      const one = box.querySelector("template").content.cloneNode(true);
      box.insertBefore(one, add.closest("[data-end]"));
    }
    const drop = event.target.closest("[data-remove]");
    if (drop) drop.closest(drop.dataset.remove).remove();
  }, true);

  document.addEventListener("submit", (event) => {
    const sure = (event.submitter && event.submitter.dataset.sure) || event.target.dataset.sure;
    if (sure && !window.confirm(sure)) event.preventDefault();
  });

  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-all]")) {
      for (const box of document.querySelectorAll(`input[name="${event.target.dataset.all}"]`)) box.checked = event.target.checked;
    }
    if (event.target.matches("[data-send]")) event.target.form.requestSubmit();
    if (event.target.matches("[type=file][data-drop]")) tell(event.target);
  });

  // The values of a code table beside the field that was chosen.
  const offer = (select) => {
    const codes = document.getElementById("codes"), input = select.closest(".query-line").querySelector("[name=value]");
    const names = codes ? JSON.parse(codes.textContent)[select.value] : null;
    if (input.list) input.list.remove();
    if (!names) { input.removeAttribute("list"); return; }
    const list = document.createElement("datalist");
    list.id = `values-${Math.random().toString(36).slice(2)}`;
    for (const name of names) list.append(new Option(name, name));
    input.after(list);
    input.setAttribute("list", list.id);
  };
  document.addEventListener("change", (event) => { if (event.target.matches(".query-line [name=field]")) offer(event.target); });
  document.addEventListener("DOMContentLoaded", () => { for (const one of document.querySelectorAll(".query-line [name=field]")) if (one.value) offer(one); });

  const tell = (input) => {
    const box = input.closest(".drop").querySelector("[data-told]");
    const size = [...input.files].reduce((sum, file) => sum + file.size, 0);
    box.textContent = box.dataset.told.replace("{files}", input.files.length).replace("{size}", (size / 1048576).toFixed(1));
  };
  for (const name of ["dragover", "dragleave", "drop"]) document.addEventListener(name, (event) => {
    const zone = event.target.closest && event.target.closest(".drop");
    if (!zone) return;
    event.preventDefault();
    zone.classList.toggle("over", name === "dragover");
    if (name === "drop") { const input = zone.querySelector("input[type=file]"); input.files = event.dataTransfer.files; tell(input); }
  });
})();
