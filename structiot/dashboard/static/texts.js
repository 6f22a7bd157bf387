// Figures and ages as people read them: the same as structiot.model.text writes.
"use strict";
const structiot = (() => {
	const LARGER = { W: "kW", Wh: "kWh", VA: "kVA", var: "kvar", kWh: "MWh" };
	const madeAt = Number(document.documentElement.dataset.now);
	const ahead = Date.now() / 1000 - madeAt; // this clock, of the house's
	const now = () => Date.now() / 1000 - (Math.abs(ahead) < 5 ? 0 : ahead);

	function figureText(value, unit, decimals) {
		if (!Number.isFinite(value)) return "–";
		const isLarge = unit in LARGER && Math.abs(value) >= (unit === "kWh" ? 100000 : 1000);
		const figure = isLarge ? value / 1000 : value;
		const digits = String(Math.trunc(Math.abs(figure))).length;
		const most = Math.max(0, (isLarge ? 3 : 4) - digits);
		const places = isLarge ? most : Math.min(decimals ?? 2, most);
		const text = figure.toLocaleString("en-US", {
			minimumFractionDigits: isLarge || decimals !== undefined ? places : 0,
			maximumFractionDigits: places,
			signDisplay: "negative",
		});
		return `${text} ${(isLarge ? LARGER[unit] : unit) || ""}`.trimEnd();
	}

	function ago(at) {
		const passed = Math.max(0, now() - at);
		if (passed < 60) return `${Math.round(passed)} s ago`;
		if (passed < 3600) return `${Math.floor(passed / 60)} min ago`;
		if (passed < 86400) return `${Math.floor(passed / 3600)} h ago`;
		return `${Math.floor(passed / 86400)} d ago`;
	}
	return { figureText, ago, now };
})();
