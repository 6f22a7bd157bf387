// In head, before paint: the theme that was chosen, and that there is JavaScript.
"use strict";
(() => {
	const root = document.documentElement;
	root.classList.add("js");
	let chosen = "system";
	try {
		chosen = localStorage.getItem("theme") || chosen;
	} catch {
		// Storage is forbidden: the system's theme it is.
	}
	const show = (theme) => {
		if (theme === "light" || theme === "dark") root.dataset.theme = theme;
		else delete root.dataset.theme;
	};
	show(chosen);
	addEventListener("DOMContentLoaded", () => {
		const group = document.querySelector(".theme");
		const present = group.querySelector(`[value="${CSS.escape(chosen)}"]`);
		if (present) present.checked = true;
		group.addEventListener("change", ({ target }) => {
			show(target.value);
			try {
				localStorage.setItem("theme", target.value);
			} catch {
				// It holds for this page, then.
			}
			document.dispatchEvent(new Event("structiot:theme"));
		});
	});
})();
