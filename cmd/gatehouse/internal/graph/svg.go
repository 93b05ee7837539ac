package graph

import (
	"encoding/xml"
	"fmt"
	"math"
	"strings"
)

// The drawing, in pixels. Nodes stand on an ellipse, so that no arrow runs through a third one.
const (
	boxWidth, lineHeight = 190.0, 16.0
	padding              = 8.0
	bow                  = 0.09 // of its length, by which an arrow leaves the straight line, to its own left
)

type point struct{ x, y float64 }

// box is where a node is drawn.
type box struct {
	centre point
	height float64
}

// SVG is the picture as an image that needs nothing else.
func (g *Graph) SVG() string {
	boxes, width, height := g.layout()
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f" font-family="sans-serif" font-size="12" text-anchor="middle">`+"\n", width, height, width, height)
	b.WriteString(`<rect width="100%" height="100%" fill="white"/>` + "\n")
	for i, colour := range []string{"#555", red, orange} {
		fmt.Fprintf(&b, `<marker id="head%d" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0L8 4L0 8z" fill="%s"/></marker>`+"\n", i, colour)
	}
	for _, a := range g.Arrows {
		b.WriteString(drawn(a, boxes[g.place(a.From)], boxes[g.place(a.To)]))
	}
	for i, n := range g.Nodes {
		b.WriteString(n.drawn(boxes[i]))
	}
	b.WriteString(written(g.Notes, point{width / 2, height - lineHeight*float64(len(g.Notes))}, red))
	b.WriteString("</svg>\n")
	return b.String()
}

// layout places the nodes: who is outside above the edge, which is at the top of the ellipse, backing
// services at its bottom, and all others on both sides in their order.
func (g *Graph) layout() (boxes []box, width, height float64) {
	var top, bottom, sides []int
	boxes = make([]box, len(g.Nodes))
	outside := 0.0
	for i, n := range g.Nodes {
		boxes[i].height = 2*padding + lineHeight*float64(len(n.lines()))
		switch n.Kind {
		case Outside:
			outside = 100
		case Edge:
			top = append(top, i)
		case Backing:
			bottom = append(bottom, i)
		case Service, Stranger:
			sides = append(sides, i)
		}
	}
	right := (len(sides) + 1) / 2
	around := append(append(append(append([]int{}, top...), sides[:right]...), bottom...), sides[right:]...)
	radius := point{max(300, 60*float64(len(around))), max(230, 45*float64(len(around)))}
	centre := point{radius.x + boxWidth, radius.y + 60 + outside}
	for at, i := range around {
		angle := 2*math.Pi*float64(at)/float64(len(around)) - math.Pi/2
		boxes[i].centre = point{centre.x + radius.x*math.Cos(angle), centre.y + radius.y*math.Sin(angle)}
	}
	for i, n := range g.Nodes {
		if n.Kind == Outside {
			boxes[i].centre = point{centre.x, 40}
		}
	}
	return boxes, 2 * centre.x, centre.y + radius.y + 60 + lineHeight*float64(len(g.Notes))
}

func (n Node) drawn(at box) string {
	stroke, width, round := "#555", 1, 3.0
	if len(n.Marks) > 0 || n.Kind == Stranger {
		stroke, width = red, 3
	}
	if n.Kind == Outside || n.Kind == Backing {
		round = at.height / 2
	}
	rect := fmt.Sprintf(`<rect x="%.1f" y="%.1f" width="%.0f" height="%.1f" rx="%.1f" fill="#f4f6f8" stroke="%s" stroke-width="%d"/>`+"\n",
		at.centre.x-boxWidth/2, at.centre.y-at.height/2, boxWidth, at.height, round, stroke, width)
	return rect + written(n.lines(), point{at.centre.x, at.centre.y - at.height/2 + padding + lineHeight*0.75}, "#222")
}

// drawn is an arrow from the border of one box to that of another: a quadratic curve that leaves the
// straight line to its left, so that the way there and the way back are two.
func drawn(a Arrow, from, to box) string {
	dx, dy := to.centre.x-from.centre.x, to.centre.y-from.centre.y
	control := point{(from.centre.x+to.centre.x)/2 + 2*bow*dy, (from.centre.y+to.centre.y)/2 - 2*bow*dx}
	begin, end := from.border(control), to.border(control)
	label := between(begin, control, end)
	label.y += 4 - lineHeight*float64(len(a.lines())-1)/2
	colour, head := "#555", 0
	switch a.colour() {
	case red:
		colour, head = red, 1
	case orange:
		colour, head = orange, 2
	}
	path := fmt.Sprintf(`<path d="M%.1f %.1fQ%.1f %.1f %.1f %.1f" fill="none" stroke="%s" stroke-width="%d" marker-end="url(#head%d)"/>`+"\n",
		begin.x, begin.y, control.x, control.y, end.x, end.y, colour, 1+min(head, 1), head)
	return path + written(a.lines(), label, colour)
}

// between is where an arrow's words stand: nearer to its begin, where fewer others cross.
func between(begin, control, end point) point {
	const t = 0.3
	a, b, c := (1-t)*(1-t), 2*t*(1-t), t*t
	return point{a*begin.x + b*control.x + c*end.x, a*begin.y + b*control.y + c*end.y}
}

// border is where the line from the middle of the box to a point outside leaves it.
func (b box) border(to point) point {
	dx, dy := to.x-b.centre.x, to.y-b.centre.y
	scale := min(boxWidth/2/max(math.Abs(dx), 1e-9), b.height/2/max(math.Abs(dy), 1e-9))
	return point{b.centre.x + dx*scale, b.centre.y + dy*scale}
}

// written are lines of text below each other, with a white rim where arrows cross them.
func written(lines []string, at point, colour string) string {
	var b strings.Builder
	for i, line := range lines {
		var text strings.Builder
		_ = xml.EscapeText(&text, []byte(line)) // a Builder takes everything
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" fill="%s" stroke="white" stroke-width="3" paint-order="stroke">%s</text>`+"\n", at.x, at.y+lineHeight*float64(i), colour, text.String())
	}
	return b.String()
}
