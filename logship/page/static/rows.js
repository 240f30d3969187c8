// Rows of a view that is not a list of events: j and k move between their links, Enter follows one.
import { useEffect } from "./vendor/hooks.js";
import { isCommand } from "./keys.js";

/** j and k move the focus between the links with `data-row`. */
export function useRowKeys() {
  useEffect(() => {
    const key = (/** @type {KeyboardEvent} */ event) => {
      const target = /** @type {HTMLElement} */ (event.target);
      if (!isCommand(event) || target.matches("input, textarea, select, [role=slider]")) return;
      if (event.key !== "j" && event.key !== "k") return;
      const rows = /** @type {HTMLElement[]} */ ([...document.querySelectorAll("[data-row]")]);
      const now = rows.indexOf(/** @type {HTMLElement} */ (target.closest("[data-row]")));
      const next = now < 0 ? rows[0] : rows[Math.max(0, Math.min(rows.length - 1, now + (event.key === "j" ? 1 : -1)))];
      if (!next) return;
      event.preventDefault();
      next.focus();
    };
    addEventListener("keydown", key);
    return () => removeEventListener("keydown", key);
  }, []);
}
