package demo

import (
	"fmt"
	"io"
)

// next are the five lines that a person who has seen the demo goes on with: a command of weft, and what it tells.
var next = [5][2]string{
	{"weft observe -f --print-policy-names", "each connection, with the policy that allowed or denied it"},
	{"weft policy explain --from NS/POD --to NS/POD:80", "may it, and which rule decides"},
	{"weft policy effective NS/POD", "who may reach a pod, and what it may reach"},
	{"weft status --brief", "what is not well, and which setting is not in force"},
	{"weft table workloads", "all that the agent knows of its pods; `weft table` lists the rest"},
}

// Next prints what weft can do on this lab, whose programs are in bin.
func Next(out io.Writer, bin string) {
	fmt.Fprintf(out, "\nWhat weft can do here now. First:  export PATH=$PATH:%s\n", bin)
	fmt.Fprintf(out, "                                   on() { weft lab kubectl -- -n kube-system exec ds/cilium -c cilium-agent -- \"$@\"; }\n\n")
	for _, line := range next {
		fmt.Fprintf(out, "  on %-50s # %s\n", line[0], line[1])
	}
}
