package claim

// Cells are the numbers of the cells that are selected, rising (evidence.AttackLeaf.Cell).
func (s *Select) Cells() []int { return s.cells() }
