// The pens of an animated figure: one draws on a canvas, the other writes SVG.
const telosPen = (function () {
  "use strict";
  const TAU = 2 * Math.PI;
  const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif";

  // A shape is a flat array of corners around 0, or null for a circle.
  function placed(corners, x, y, r) {
    return corners.map((c, i) => (i % 2 ? y : x) + r * c);
  }

  const ruler = document.createElement("canvas").getContext("2d");
  const widths = new Map();
  function textWidth(text, size, weight) {
    const key = weight + " " + size + " " + text;
    if (!widths.has(key)) {
      ruler.font = `${weight} ${size}px ${FONT}`;
      widths.set(key, ruler.measureText(text).width);
    }
    return widths.get(key);
  }

  function trace(context, corners) {
    context.beginPath();
    for (let i = 0; i < corners.length; i += 2) context[i ? "lineTo" : "moveTo"](corners[i], corners[i + 1]);
    context.closePath();
  }

  // Draws on a canvas; marks and lines through `pixels` (player_pixels.js), if there are many.
  function canvas(context, pixels) {
    return {
      shift(down) { context.translate(0, down); },
      polygon(corners, { fill, opacity = 1, stroke, width, faint = 1 }) {
        trace(context, corners);
        context.globalAlpha = opacity;
        context.fillStyle = fill;
        context.fill();
        if (stroke) {
          context.globalAlpha = faint;
          context.strokeStyle = stroke;
          context.lineWidth = width;
          context.lineJoin = "round";
          context.stroke();
        }
        context.globalAlpha = 1;
      },
      strokes(segments, color, width, opacity) {
        if (!segments.length) return;
        context.beginPath();
        for (let i = 0; i < segments.length; i += 4) {
          context.moveTo(segments[i], segments[i + 1]);
          context.lineTo(segments[i + 2], segments[i + 3]);
        }
        context.globalAlpha = opacity;
        context.strokeStyle = color;
        context.lineWidth = width;
        context.stroke();
        context.globalAlpha = 1;
      },
      mark(shape, x, y, r, color, opacity) {
        if (pixels) return pixels.mark(shape, x, y, r, color, opacity);
        if (shape) trace(context, placed(shape, x, y, r));
        else { context.beginPath(); context.arc(x, y, r, 0, TAU); }
        context.globalAlpha = opacity;
        context.fillStyle = color;
        context.fill();
        context.globalAlpha = 1;
      },
      lines(segments, color, opacity) {
        if (pixels) pixels.lines(segments, color, opacity);
        else this.strokes(segments, color, 1, opacity);
      },
      // What lies in the pixels comes onto the canvas.
      flush() {
        if (!pixels) return;
        pixels.put(context, 1);
        pixels.clear();
      },
      ring(x, y, r, color) {
        context.beginPath();
        context.arc(x, y, r, 0, TAU);
        context.strokeStyle = color;
        context.lineWidth = 1.5;
        context.stroke();
      },
      text(text, x, y, { color, align, size, weight = 400, halo, turn }) {
        if (!text) return;
        context.save();
        context.translate(x, y);
        if (turn) context.rotate(-TAU / 4);
        context.font = `${weight} ${size}px ${FONT}`;
        context.textAlign = align;
        if (halo) {
          context.strokeStyle = halo;
          context.lineWidth = 3;
          context.lineJoin = "round";
          context.strokeText(text, 0, 0);
        }
        context.fillStyle = color;
        context.fillText(text, 0, 0);
        context.restore();
      },
    };
  }

  function escaped(text) {
    // Control characters are no XML.
    return text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "\ufffd").replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" }[c]));
  }

  // Writes SVG; finish(width, height, ground) returns it, on a ground if one is given.
  function svg() {
    let open = 0;
    const parts = [], round = (x) => String(Math.round(10 * x) / 10);
    const path = (corners) => "M" + Array.from({ length: corners.length / 2 }, (_, i) => round(corners[2 * i]) + " " + round(corners[2 * i + 1])).join("L") + "Z";
    return {
      polygon(corners, { fill, opacity = 1, stroke, width, faint = 1 }) {
        parts.push(`<path d="${path(corners)}" fill="${fill}" fill-opacity="${opacity}"${stroke ? ` stroke="${stroke}" stroke-width="${width}" stroke-opacity="${faint}"` : ""}/>`);
      },
      strokes(segments, color, width, opacity) {
        if (!segments.length) return;
        let d = "";
        for (let i = 0; i < segments.length; i += 4) d += `M${round(segments[i])} ${round(segments[i + 1])}L${round(segments[i + 2])} ${round(segments[i + 3])}`;
        parts.push(`<path d="${d}" fill="none" stroke="${color}" stroke-width="${width}" stroke-opacity="${opacity}"/>`);
      },
      mark(shape, x, y, r, color, opacity) {
        const fill = `fill="${color}" fill-opacity="${Math.round(100 * opacity) / 100}"`;
        parts.push(shape ? `<path d="${path(placed(shape, x, y, r))}" ${fill}/>` : `<circle cx="${round(x)}" cy="${round(y)}" r="${r}" ${fill}/>`);
      },
      lines(segments, color, opacity) { this.strokes(segments, color, 1, opacity); },
      flush() {},
      ring(x, y, r, color) {
        parts.push(`<circle cx="${round(x)}" cy="${round(y)}" r="${r}" fill="none" stroke="${color}" stroke-width="1.5"/>`);
      },
      text(text, x, y, { color, align, size, weight = 400, halo, turn }) {
        if (!text) return;
        const anchor = { left: "start", center: "middle", right: "end" }[align];
        const outline = halo ? ` stroke="${halo}" stroke-width="3" stroke-linejoin="round" paint-order="stroke"` : "";
        const place = turn ? `transform="translate(${round(x)} ${round(y)}) rotate(-90)"` : `x="${round(x)}" y="${round(y)}"`;
        parts.push(`<text ${place} text-anchor="${anchor}" font-size="${size}" font-weight="${weight}" fill="${color}"${outline}>${escaped(text)}</text>`);
      },
      // All that follows moves down.
      shift(down) { parts.push(`<g transform="translate(0 ${down})">`); ++open; },
      finish(width, height, ground) {
        return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="${escaped(FONT)}">` +
          `${ground ? `<rect width="100%" height="100%" fill="${ground}"/>` : ""}${parts.join("\n")}${"</g>".repeat(open)}</svg>\n`;
      },
    };
  }

  return { canvas, svg, placed, width: textWidth };
})();
