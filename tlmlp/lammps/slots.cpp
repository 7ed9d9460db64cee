// Rows and slots of the network: what is near each atom now, and both ends of every bond.

#include "pair_tlmlp.h"

#include "atom.h"
#include "comm.h"
#include "neigh_list.h"

#include <algorithm>
#include <cmath>
#include <random>

// Rank and index of the atom that each ghost is an image of.
void PairTLMLP::find_owners()
{
  self.resize(atom->nlocal);
  owner.resize(atom->nghost);
  for (int i = 0; i < atom->nlocal; i++) self[i] = {comm->me, i};
  by_row = false;
  send(reinterpret_cast<float *>(self.data()), reinterpret_cast<float *>(owner.data()), 2, false);
  by_row = true;
}

// Rows and their bonds: own atoms, then (halo) what has a bond to the rows before.
void PairTLMLP::find_bonds(double cutoff)
{
  double **x = atom->x;
  const double square = cutoff * cutoff;
  row_of.assign(atom->nlocal + atom->nghost, -1);
  rows.assign(list->ilist, list->ilist + list->inum);
  for (int r = 0; r < list->inum; r++) row_of[rows[r]] = r;
  bonds.clear();
  first.assign(1, 0);
  layers.assign(model.blocks + 1, list->inum);
  const int outermost = halo ? model.blocks : 0;
  for (int layer = 0, r = 0; layer <= outermost; layer++) {
    layers[layer] = int(rows.size());
    for (; r < layers[layer]; r++) {
      const int i = rows[r];
      for (int n = 0; n < list->numneigh[i]; n++) {
        const int j = list->firstneigh[i][n] & NEIGHMASK;
        const double d[3] = {x[j][0] - x[i][0], x[j][1] - x[i][1], x[j][2] - x[i][2]};
        if (d[0] * d[0] + d[1] * d[1] + d[2] * d[2] >= square) continue;
        bonds.push_back({j, {float(d[0]), float(d[1]), float(d[2])}});
        if (row_of[j] < 0 && layer < outermost) {
          row_of[j] = int(rows.size());
          rows.push_back(j);
        }
      }
      first.push_back(int(bonds.size()));
    }
  }
}

// Bonds of the fullest row, were the atoms shaken: a perfect crystal has fewer than a warm one.
int PairTLMLP::shaken(double width) const
{
  double **x = atom->x;
  const double square = model.cutoff * model.cutoff;
  std::mt19937 source(0);
  std::normal_distribution<double> noise(0, width);
  std::vector<std::array<double, 3>> at(atom->nlocal + atom->nghost);
  int most = 0;
  for (int draw = 0; draw < 1 + 200 / std::max(list->inum, 1); draw++) {
    for (size_t i = 0; i < at.size(); i++)
      for (int c = 0; c < 3; c++) at[i][c] = x[i][c] + noise(source);
    for (int r = 0; r < list->inum; r++) {
      const int i = list->ilist[r];
      int within = 0;
      for (int n = 0; n < list->numneigh[i]; n++) {
        const int j = list->firstneigh[i][n] & NEIGHMASK;
        double d2 = 0;
        for (int c = 0; c < 3; c++) d2 += (at[j][c] - at[i][c]) * (at[j][c] - at[i][c]);
        within += d2 < square;
      }
      most = std::max(most, within);
    }
  }
  return most;
}

// Room for slots, which only grows: each size is compiled for anew. Messages have one size, so all
// ranks have the same.
void PairTLMLP::grow_slots()
{
  int most = 1;
  for (size_t r = 0; r + 1 < first.size(); r++) most = std::max(most, first[r + 1] - first[r]);
  if (!slots) most = std::max(most, shaken(0.12));
  int all;
  MPI_Allreduce(&most, &all, 1, MPI_INT, MPI_MAX, world);
  if (all > slots) slots = 2 * ((all + 2) / 2);
}

// Room for rows, likewise, but each rank has its own.
void PairTLMLP::grow_rows()
{
  bool full = false;
  for (int k = 0; k <= model.blocks; k++) full = full || layers[k] > room[k];
  if (!full && room[0]) return;
  for (int k = 0; k <= model.blocks; k++) {
    // Own atoms leave and come, and the rows that a halo reaches change from step to step.
    const bool constant = comm->nprocs == 1 && k == 0, outer = halo && k > 0;
    const double margin = constant ? 0 : std::sqrt(double(layers[k])) + (outer ? layers[k] / 8 : 0);
    const int rows = constant ? std::max(layers[k], 1) : 8 * int((layers[k] + margin) / 8 + 1);
    room[k] = std::max(room[k], rows);
    if (k) room[k] = halo ? std::max(room[k], room[k - 1]) : room[0];
  }
}

// The slots of the network, but for `reverse`.
void PairTLMLP::fill()
{
  const int R = room.back(), K = slots, real = int(rows.size());
  const int *type = atom->type;
  species.resize(R + model.elements);
  for (int r = 0; r < R; r++) species[r] = r < real ? element_of[type[rows[r]]] : 0;
  for (int e = 0; e < model.elements; e++) species[R + e] = e;    // that neighbours point to
  vectors.assign(3 * R * K, 0);
  neighbors.assign(R * K, R);
  slot_atom.assign(R * K, -1);
  mask.assign(R * K, 0);
  atom_mask.assign(room[0], 0);
  std::fill(atom_mask.begin(), atom_mask.begin() + layers[0], 1);
  energies.resize(room[0]);
  slopes.resize(3 * R * K);
  for (int r = 0; r < real; r++)
    for (int b = first[r]; b < first[r + 1]; b++) {
      const int s = r * K + b - first[r];
      slot_atom[s] = bonds[b].atom;
      neighbors[s] = R + element_of[type[bonds[b].atom]];
      mask[s] = 1;
      std::copy_n(bonds[b].vector, 3, &vectors[3 * s]);
    }
}

// Row of an atom, or of the own atom that it is an image of; -1: it has none on this rank.
int PairTLMLP::home_of(int j) const
{
  if (halo || j < atom->nlocal) return row_of[j];
  const auto &[rank, i] = owner[j - atom->nlocal];
  return rank == comm->me ? row_of[i] : -1;
}

// Which of n vectors is the opposite of `mine`, or -1.
int PairTLMLP::partner(const float *mine, const float *theirs, int n) const
{
  for (int b = 0; b < n; b++) {
    float d = 0;
    for (int c = 0; c < 3; c++) d += (mine[c] + theirs[3 * b + c]) * (mine[c] + theirs[3 * b + c]);
    if (d < 1e-6f) return b;
  }
  return -1;
}

// `reverse`: the slot of the other end of each bond, beyond R·K where that is on another rank.
void PairTLMLP::match(std::string &fault)
{
  const int R = room.back(), K = slots;
  const bool several = !halo && comm->nprocs > 1;
  reverse.resize(R * K);
  for (int s = 0; s < R * K; s++) reverse[s] = s;
  ghost_vectors.assign(several ? 3 * K * atom->nghost : 0, 0);
  if (several) send(vectors.data(), ghost_vectors.data(), 3 * K, false);
  for (int s = 0; s < R * K; s++) {
    if (slot_atom[s] < 0) continue;
    const float *v = &vectors[3 * s];
    const float square = v[0] * v[0] + v[1] * v[1] + v[2] * v[2];
    if (square < 1e-6f) fault = "two atoms are at the same place";
    const int home = home_of(slot_atom[s]), ghost = slot_atom[s] - atom->nlocal;
    if (home < 0 && !several) continue;    // halo: nothing comes from beyond its last rows
    const int b = partner(v, home < 0 ? &ghost_vectors[3 * K * ghost] : &vectors[3 * K * home], K);
    if (b >= 0) {
      reverse[s] = home < 0 ? (R + ghost) * K + b : home * K + b;
      continue;
    }
    // At the cutoff, to the last bit, a bond may be seen from one end alone. It has no weight.
    mask[s] = 0;
    if (std::sqrt(square) < model.cutoff - 1e-3)
      fault = "the two ends of a bond do not agree: an atom moved too far between two searches for "
              "neighbours (neigh_modify every 1 delay 0 check yes)";
  }
}
