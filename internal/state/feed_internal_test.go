package state

import (
	"slices"
	"testing"
)

type fact struct{ ID int }

func (fact) Header() []string { return []string{"ID"} }
func (fact) Row() []string    { return []string{""} }

func TestTheGraveyardIsEmptyOnceAllFeedsHavePassed(t *testing.T) {
	facts := NewTable("facts", func(f fact) Key { return Join(f.ID) })
	db := New(facts)
	write := func(fn func(tx *Tx)) {
		_ = db.Write(func(tx *Tx) error { fn(tx); return nil })
	}
	tombstones := func() int {
		c := db.Snapshot().tables[0]
		if c.deleted.Len() != c.deletedByKey.Len() {
			t.Errorf("%d tombstones by revision and %d by key", c.deleted.Len(), c.deletedByKey.Len())
		}
		return c.deleted.Len()
	}
	churn := func(from, to int) {
		for i := from; i < to; i++ {
			write(func(tx *Tx) { facts.Put(tx, fact{i}) })
			write(func(tx *Tx) { facts.Delete(tx, Join(i)) })
		}
	}
	churn(0, 10)
	if n := tombstones(); n != 0 {
		t.Errorf("%d tombstones without any feed", n)
	}
	quick, slow := facts.Feed(db), facts.Feed(db)
	churn(0, 10)
	churn(0, 10)
	if n := tombstones(); n != 10 {
		t.Errorf("%d tombstones of 10 rows that were deleted twice", n)
	}
	write(func(tx *Tx) { facts.Put(tx, fact{3}) })
	if n := tombstones(); n != 9 {
		t.Errorf("%d tombstones after one row came back", n)
	}
	quick.Next()
	churn(100, 101)
	if n := tombstones(); n != 10 {
		t.Errorf("%d tombstones, the slow feed has passed none", n)
	}
	slow.Next()
	churn(200, 201)
	if n := tombstones(); n != 2 {
		t.Errorf("%d tombstones, want those of the rows that were deleted since the quick feed read", n)
	}
	quick.Close()
	slow.Close()
	write(func(tx *Tx) { facts.Put(tx, fact{7}) })
	if n := tombstones(); n != 0 {
		t.Errorf("%d tombstones after the feeds closed", n)
	}
}

func TestAFeedDeliversInTheOrderOfLastChange(t *testing.T) {
	facts := NewTable("facts", func(f fact) Key { return Join(f.ID) })
	db := New(facts)
	do := func(id int, put bool) {
		_ = db.Write(func(tx *Tx) error {
			if put {
				facts.Put(tx, fact{id})
			} else {
				facts.Delete(tx, Join(id))
			}
			return nil
		})
	}
	feed := facts.Feed(db)
	defer feed.Close()
	for _, id := range []int{1, 2, 3, 4} {
		do(id, true)
	}
	feed.Next()
	do(9, true)
	do(2, false)
	do(1, false)
	do(8, true)
	do(2, true)
	do(4, false)
	do(7, true)
	do(7, false)
	changes, _, _ := feed.Next()
	var got []int
	for _, c := range changes {
		if c.Deleted {
			got = append(got, -c.Row.ID)
		} else {
			got = append(got, c.Row.ID)
		}
	}
	if want := []int{9, -1, 8, 2, -4}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v (minus is a deletion)", got, want)
	}
}
