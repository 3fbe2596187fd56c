// Package nettest makes clusters without Kubernetes: nodes that are network namespaces of this machine, each with a real
// agent, and pods that a real CNI ADD attaches. Scripts in test/script/net and the benchmarks use it. It needs root.
//
// # The world it models
//
//	outside 192.0.2.9, 2001:db8::9
//	   |
//	  wire (router 172.30.0.254, fd30::fe, and the switch between the nodes)
//	   |                         |
//	 node a 172.30.0.1, fd30::1   node b 172.30.0.2, fd30::2     pods of the n-th node: 10.244.n.0/24, fd00:244:0:n::/64
//	   |        |                |
//	 a/web    a/api            b/db
//
// An agent acts in the namespace of the threads it runs on, so each has a process of its own: this test binary once
// more, started inside the node (package process). The process reads objects from its standard input and writes what its node
// publishes to its standard output; both end with the test, and with them the agent. What a cluster would do, Cluster
// plays: it gives numbers to label sets, hands each node's endpoints to the others, and makes EndpointSlices for
// services with selectors.
//
// # Invariants
//
//   - Nothing outlives the process that made it, not even if it is killed: namespaces, and the BPF file systems in which
//     agents pin their programs and maps, are held by its open files alone.
//   - Every change waits until all that follows from it is in the kernels of all nodes (Settle). No test sleeps.
//   - A node's agent may stop, be killed, and start again; its devices, programs and maps stay meanwhile.
//
// # Example
//
//	func TestMain(m *testing.M) { process.Main(); os.Exit(m.Run()) }
//
//	c, err := nettest.New(dir)
//	defer c.Close()
//	a, err := c.AddNode("a", nil)
//	web, err := a.AddPod(nettest.PodSpec{Name: "web"})
//	answer, err := web.Dial(ctx, "tcp", netip.AddrPortFrom(db.Addresses[0], 5432))
package nettest
