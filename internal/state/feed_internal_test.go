package state

import "testing"

type fact struct{ ID int }

func (fact) Header() []string { return []string{"ID"} }
func (fact) Row() []string    { return []string{""} }

func TestTheGraveyardIsEmptyOnceAllFeedsHavePassed(t *testing.T) {
	facts := NewTable("facts", func(f fact) Key { return Join(f.ID) })
	db := New(facts)
	write := func(fn func(tx *Tx)) {
		_ = db.Write(func(tx *Tx) error { fn(tx); return nil })
	}
	graves := func() int {
		c := db.Snapshot().tables[0]
		if c.grave.Len() != c.dead.Len() {
			t.Errorf("%d graves for %d dead", c.grave.Len(), c.dead.Len())
		}
		return c.grave.Len()
	}
	churn := func(from, to int) {
		for i := from; i < to; i++ {
			write(func(tx *Tx) { facts.Put(tx, fact{i}) })
			write(func(tx *Tx) { facts.Delete(tx, Join(i)) })
		}
	}
	churn(0, 10)
	if n := graves(); n != 0 {
		t.Errorf("%d graves without any feed", n)
	}
	quick, slow := facts.Feed(db), facts.Feed(db)
	churn(0, 10)
	churn(0, 10)
	if n := graves(); n != 10 {
		t.Errorf("%d graves of 10 rows that died twice", n)
	}
	write(func(tx *Tx) { facts.Put(tx, fact{3}) })
	if n := graves(); n != 9 {
		t.Errorf("%d graves after one row came back", n)
	}
	quick.Next()
	churn(100, 101)
	if n := graves(); n != 10 {
		t.Errorf("%d graves, the slow feed has passed none", n)
	}
	slow.Next()
	churn(200, 201)
	if n := graves(); n != 2 {
		t.Errorf("%d graves, want those of the rows that died since the quick feed read", n)
	}
	quick.Close()
	slow.Close()
	write(func(tx *Tx) { facts.Put(tx, fact{7}) })
	if n := graves(); n != 0 {
		t.Errorf("%d graves after the feeds closed", n)
	}
}
