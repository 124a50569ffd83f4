// Command bench compares fansync with its peers and with the ideal: it runs each
// engine at each workload, checks that the mirrors are right, and writes the
// results down as JSON lines, Markdown, plots and a page. It compares programs
// that only tell of changes too.
package main
