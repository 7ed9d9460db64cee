// Rows and slots of the network: what is near each atom now, and both ends of every bond.

#include "pair_tlmlp.h"

#include "atom.h"
#include "comm.h"
#include "neigh_list.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

// Rank and index of the atom that each ghost is an image of.
void PairTLMLP::find_owners()
{
  owner.resize(atom->nlocal + atom->nghost);
  for (int i = 0; i < atom->nlocal; i++) owner[i] = {comm->me, i};
  comm->forward_comm(this);
}

int PairTLMLP::pack_forward_comm(int n, int *atoms, double *buf, int, int *)
{
  for (int k = 0; k < n; k++) memcpy(buf + k, &owner[atoms[k]], sizeof(double));
  return n;
}

void PairTLMLP::unpack_forward_comm(int n, int from, double *buf)
{
  for (int k = 0; k < n; k++) memcpy(&owner[from + k], buf + k, sizeof(double));
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
  if (halo) return row_of[j];
  return owner[j][0] == comm->me ? row_of[owner[j][1]] : -1;
}

// The slot of a row whose vector is the opposite of this one, or -1.
int PairTLMLP::partner(const float *vector, int row) const
{
  for (int s = row * slots; s < (row + 1) * slots; s++) {
    float d = 0;
    for (int c = 0; c < 3; c++) {
      const float sum = vector[c] + vectors[3 * s + c];
      d += sum * sum;
    }
    if (d < 1e-6f) return s;
  }
  return -1;
}

// At the cutoff, to the last bit, a bond may be seen from one end alone. It has no weight.
void PairTLMLP::alone(int s, std::string &fault)
{
  const float *v = &vectors[3 * s];
  mask[s] = 0;
  reverse[s] = s;
  if (std::sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]) < model.cutoff - 1e-3)
    fault = "the two ends of a bond do not agree: an atom moved too far between two searches for "
            "neighbours (neigh_modify every 1 delay 0 check yes)";
}

// `reverse`: the slot of the other end of each bond; its own where that is on another rank.
void PairTLMLP::match(std::string &fault)
{
  const int size = room.back() * slots;
  const bool several = !halo && comm->nprocs > 1;
  std::vector<std::vector<End>> away(several ? comm->nprocs : 0);
  reverse.resize(size);
  for (int s = 0; s < size; s++) {
    reverse[s] = s;
    const int j = slot_atom[s];
    if (j < 0) continue;
    const float *v = &vectors[3 * s];
    if (v[0] * v[0] + v[1] * v[1] + v[2] * v[2] < 1e-6f) fault = "two atoms are at the same place";
    const int home = home_of(j);
    if (home >= 0) {
      const int other = partner(v, home);
      if (other >= 0) reverse[s] = other;
      else alone(s, fault);
    } else if (several) {
      away[owner[j][0]].push_back({owner[j][1], s, {v[0], v[1], v[2]}});
      reverse[s] = -1;    // until its other end is found
    }    // else, in a halo, nothing comes from beyond its last rows
  }
  if (!several) return;
  match_away(away);
  for (int s = 0; s < size; s++)
    if (reverse[s] < 0) alone(s, fault);
}

// The slots that cross to each other rank, ordered by those of the lower of the two ranks.
void PairTLMLP::match_away(const std::vector<std::vector<End>> &away)
{
  const int n = comm->nprocs;
  std::vector<int> mine(n), theirs(n);
  for (int p = 0; p < n; p++) mine[p] = int(away[p].size());
  MPI_Alltoall(mine.data(), 1, MPI_INT, theirs.data(), 1, MPI_INT, world);
  std::vector<std::vector<End>> ends(n);
  std::vector<MPI_Request> open;
  for (int p = 0; p < n; p++) {
    ends[p].resize(theirs[p]);
    const int in = int(sizeof(End)) * theirs[p], out = int(sizeof(End)) * mine[p];
    if (in) MPI_Irecv(ends[p].data(), in, MPI_BYTE, p, 0, world, &open.emplace_back());
    if (out) MPI_Isend(away[p].data(), out, MPI_BYTE, p, 0, world, &open.emplace_back());
  }
  MPI_Waitall(int(open.size()), open.data(), MPI_STATUSES_IGNORE);
  peers.clear();
  for (int p = 0; p < n; p++) {
    std::vector<std::array<int, 2>> pairs;    // (slot of the lower rank, own slot)
    for (const End &end : ends[p]) {
      const int row = row_of[end.atom], s = row < 0 ? -1 : partner(end.vector, row);
      if (s < 0) continue;
      reverse[s] = s;
      pairs.push_back({comm->me < p ? s : end.slot, s});
    }
    if (pairs.empty()) continue;
    std::sort(pairs.begin(), pairs.end());
    Peer &peer = peers.emplace_back(Peer{p, {}, {}, {}});
    for (const auto &pair : pairs) peer.slots.push_back(pair[1]);
  }
}

// Rows of slots [R·K, width] to the other ends of their bonds, on this rank and on others. It is
// its own transpose.
void PairTLMLP::swap(const float *from, const int *reverse, float *to, int width)
{
  std::vector<MPI_Request> open;
  for (Peer &peer : peers) {
    const int count = int(peer.slots.size()) * width;
    peer.in.resize(count);
    peer.out.resize(count);
    for (size_t k = 0; k < peer.slots.size(); k++)
      std::copy_n(from + size_t(peer.slots[k]) * width, width, &peer.out[k * width]);
    MPI_Irecv(peer.in.data(), count, MPI_FLOAT, peer.rank, 1, world, &open.emplace_back());
    MPI_Isend(peer.out.data(), count, MPI_FLOAT, peer.rank, 1, world, &open.emplace_back());
  }
  for (int s = 0; s < room.back() * slots; s++)
    std::copy_n(from + size_t(reverse[s]) * width, width, to + size_t(s) * width);
  MPI_Waitall(int(open.size()), open.data(), MPI_STATUSES_IGNORE);
  for (const Peer &peer : peers)
    for (size_t k = 0; k < peer.slots.size(); k++)
      std::copy_n(&peer.in[k * width], width, to + size_t(peer.slots[k]) * width);
}
