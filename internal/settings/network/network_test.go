package network

import "testing"

func TestADefinitionOfANamespacesUsersMayOnlyClose(t *testing.T) {
	for _, c := range []struct{ key, of, said, pods, want string }{
		{"", "shop", "", "", Primary},
		{All, "shop", "", "", All},
		{All, "shop", Primary, "", All},
		{All, "shop", Audit, "", All},
		{Audit, "shop", Primary, "", Audit},
		{Audit, "shop", All, "", All},
		{Primary, "shop", Audit, "", Audit},
		{Primary, "shop", All, "", All},
		{Primary, "shop", "al", "", All}, // what is no value closes
		{"", "shop", Primary, "al", All},
		// A namespace says it of its pods, and opens; a definition closes less than that no more than it does less than the key.
		{All, "shop", "", Primary, Primary},
		{All, "shop", Audit, Primary, Audit},
		{Primary, "shop", Primary, All, All},
		// What the cluster trusts.
		{All, "kube-system", Primary, "", Primary},
		{All, "infra", Audit, "", Audit},
		{Primary, "infra", Primary, All, Primary},
		{Primary, "infra", "", All, All},
	} {
		n := Networks{Policy: c.key, Global: []string{"infra"}}
		if got := n.At(c.of, c.said, c.pods); got != c.want {
			t.Errorf("%+v: got %s", c, got)
		}
	}
}
