// Package link makes network devices equal to tables: the veth pairs of workloads (Links), the overlay device (Tunnels),
// and the programs on devices (Hooks).
//
// # The world it models
//
// A veth pair has one side here, marked as ours by its alias "weft:N" (N is the number of the attachment), and one inside
// the workload's network namespace, with its addresses, a default route to a gateway that is on no subnet, and that
// gateway's MAC address for good, so nothing is ever asked on the link. A pair is made in one netlink call with both
// ends where they belong; a pair that is not as the table says is made anew.
//
// # Invariants
//
//   - Nothing without our mark or name is changed or removed.
//   - Set of what is there changes nothing; Unset of what is gone succeeds, and so it does when the workload's namespace
//     went first.
//   - Every kernel setting that is changed stands in one list with its reason (sysctl.go).
package link
