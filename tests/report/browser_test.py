#!/usr/bin/env python3
"""Opens report pages in headless Chromium and checks what a reader would see.

    browser_test.py --chromium PATH report.html ...
    browser_test.py --chromium PATH --sample PATH/TO/write_sample

For each page, light and dark: nothing on the console, every figure drawn with at least its promised marks, no request
beyond the page itself, at most 2 MB. Before that, two pages that break these rules must be caught. Standard library
only. Exit status: 0 passed, 1 failed, 77 skipped because there is no Chromium.
"""

import argparse
import html.parser
import json
import pathlib
import re
import subprocess
import sys
import tempfile

LARGEST_PAGE = 2_000_000
SKIPPED = 77
FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-extensions",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    "--hide-scrollbars", "--window-size=1280,900", "--virtual-time-budget=60000", "--enable-logging=stderr",
]
SCHEMES = {"light": [], "dark": ["--blink-settings=preferredColorScheme=0"]}


class Dom(html.parser.HTMLParser):
    """Attributes of the root and of the figures, and what is drawn in each figure."""

    def __init__(self, text):
        super().__init__()
        self.root = {}
        self.figures = []
        self.players = []  # player_browser_test.py looks closer
        self.inside_figure = False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag == "html" and not self.root:
            self.root = values
        elif tag == "figure" and "data-player" in values:
            self.players.append(values)
        elif tag == "figure":
            self.inside_figure = True
            self.figures.append(values | {"drawings": 0})
        elif tag in ("svg", "canvas") and self.inside_figure:
            self.figures[-1]["drawings"] += 1

    def handle_endtag(self, tag):
        if tag == "figure":
            self.inside_figure = False


def page_requests(net_log):
    """Addresses that a page asked for, other than files and data in itself. What the browser asks for on its own has no
    initiator."""
    text = net_log.read_text(errors="replace")
    try:
        log = json.loads(text)
    except json.JSONDecodeError:
        log = json.loads(text.rstrip().rstrip(",") + "]}")  # the browser ended before the log did
    found = []
    for event in log["events"]:
        parameters = event.get("params") or {}
        address, initiator = parameters.get("url", ""), parameters.get("initiator", "")
        if re.match(r"(https?|wss?|ftp):", address) and initiator not in ("", "not an origin"):
            found.append(address)
    return sorted(set(found))


def open_page(chromium, page, scheme):
    """Returns (DOM text, console lines, requested addresses)."""
    with tempfile.TemporaryDirectory(prefix="telos-browser-") as folder:
        net_log = pathlib.Path(folder) / "net.json"
        command = [chromium, *FLAGS, *SCHEMES[scheme], f"--user-data-dir={folder}/profile", f"--log-net-log={net_log}",
                   "--dump-dom", page.resolve().as_uri()]
        done = subprocess.run(command, capture_output=True, timeout=240, check=False)
        errors = done.stderr.decode(errors="replace")
        console = [line for line in errors.splitlines() if re.search(r":CONSOLE[:(]", line)]
        return done.stdout.decode(errors="replace"), console, page_requests(net_log)


def problems_of(chromium, page, scheme):
    dom_text, console, requests = open_page(chromium, page, scheme)
    problems = [f"console: {line}" for line in console] + [f"request: {address}" for address in requests]
    if page.stat().st_size > LARGEST_PAGE:
        problems.append(f"the page has {page.stat().st_size:,} bytes, more than {LARGEST_PAGE:,}")
    dom = Dom(dom_text)
    if dom.root.get("data-ready") != "true":
        problems.append("the page did not finish drawing")
    if dom.root.get("data-theme") != scheme:
        problems.append(f"the theme is {dom.root.get('data-theme')}, not {scheme}")
    if dom.root.get("data-failed") != "0" or dom.root.get("data-figures") != str(len(dom.figures)):
        problems.append(f"{dom.root.get('data-failed')} of {len(dom.figures)} figures failed")
    if any("data-points" not in player for player in dom.players):
        problems.append("a player drew nothing")
    for figure in dom.figures:
        name, promised, marks = figure.get("data-figure"), int(figure["data-promised"]), int(figure.get("data-marks", -1))
        if marks < promised:
            problems.append(f"figure {name} drew {marks} marks and promised {promised}")
        if figure["drawings"] != 1:
            problems.append(f"figure {name} holds {figure['drawings']} drawings")
    return problems, len(dom.figures), sum(int(figure.get("data-marks", 0)) for figure in dom.figures)


def check_the_check(chromium):
    """The rules must be able to fail: a page that logs, and one that reaches out."""
    with tempfile.TemporaryDirectory(prefix="telos-browser-") as folder:
        page = pathlib.Path(folder) / "bad.html"
        page.write_text('<!doctype html><script>console.warn("caught");</script><img src="http://127.0.0.1:9/x.png">')
        _, console, requests = open_page(chromium, page, "light")
        missed = []
        if not any("caught" in line for line in console):
            missed.append("a console warning was not seen")
        if "http://127.0.0.1:9/x.png" not in requests:
            missed.append(f"a request was not seen among {requests}")
        return missed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chromium", default="", help="the browser")
    parser.add_argument("--sample", help="program that writes the sample report into a folder")
    parser.add_argument("pages", nargs="*", type=pathlib.Path)
    arguments = parser.parse_args()
    if not arguments.chromium or arguments.chromium.endswith("-NOTFOUND"):
        print("skipped: no Chromium; script/bootstrap installs it")
        return SKIPPED
    with tempfile.TemporaryDirectory(prefix="telos-report-") as folder:
        pages = list(arguments.pages)
        if arguments.sample:
            subprocess.run([arguments.sample, folder], check=True, stdout=subprocess.DEVNULL)
            pages.append(pathlib.Path(folder) / "report.html")
        if not pages:
            parser.error("no page to open")
        failed = check_the_check(arguments.chromium)
        for problem in failed:
            print(f"FAILED self-check: {problem}")
        for page in pages:
            for scheme in SCHEMES:
                problems, figures, marks = problems_of(arguments.chromium, page, scheme)
                failed += problems
                print(f"{'FAILED' if problems else 'ok'}: {page} ({scheme}, {page.stat().st_size:,} bytes, "
                      f"{figures} figures, {marks} marks)")
                for problem in problems:
                    print(f"  {problem}")
        return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
