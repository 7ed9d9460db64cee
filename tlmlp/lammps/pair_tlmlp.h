// LAMMPS pair style of tlmlp's potentials. It finds neighbours, carries data between ranks and adds
// forces; Python and JAX compute the network in between. tlmlp/lammps/plugin.py compiles it.
//
// Letters: R rows (atoms with neighbour slots), K slots of a row, i centre, j neighbour, a slot.
//   exchange  rows are the atoms of this rank. Their messages cross to other ranks in the network.
//   halo      rows are also the ghost atoms that the network reaches from them, bond by bond, the
//             nearest first. Nothing crosses, and part of the work is done on several ranks.
// Slots hold what is within the cutoff now, and are filled anew at every step. The two ends of a
// bond are matched by its vector: r_ij = -r_ji, also where an atom is its own neighbour.

#ifndef PAIR_TLMLP_H
#define PAIR_TLMLP_H

#include "pair.h"

#include <array>
#include <string>
#include <vector>

using namespace LAMMPS_NS;

// ---- what Python fills in and reads (tlmlp/lammps/network.py has the same structures)

struct Model {
  double cutoff;     // Å
  int blocks;        // interaction blocks of the network
  int halo;          // 1: halo, 0: exchange
  int ranks;
  int elements;      // rows of its table of elements
  int *element_of;   // [types + 1], to be filled: the row of each LAMMPS type, -1 for NULL
};

struct Step {
  int energies, rows, slots, ranks;    // atoms with energies and rows of slots, both padded; K
  const int *layers;                   // [blocks + 1] rows after the last block, .. before the first
  const int *species, *neighbors, *reverse;    // [R + elements], [R, K], [R, K]
  const float *vectors;                        // [R, K, 3] Å
  const unsigned char *mask, *atom_mask;       // [R, K], [energies]
  double *energy;                              // [energies] eV, to be filled
  float *slopes;                               // [R, K, 3] eV/Å, to be filled: dE/d(vector)
};

using Fault = char[1024];
// Both return 0, or 1 and the words of what is wrong. `key` names a network that was described.
using Describe = int (*)(int key, int argc, char **argv, Model *, Fault);
using Evaluate = int (*)(int key, Step *, Fault);

class PairTLMLP : public Pair {
 public:
  PairTLMLP(LAMMPS *);
  ~PairTLMLP() override;
  void compute(int, int) override;
  void settings(int, char **) override;
  void coeff(int, char **) override;
  void init_style() override;
  double init_one(int, int) override;
  int pack_forward_comm(int, int *, double *, int, int *) override;
  void unpack_forward_comm(int, int, double *) override;
  double memory_usage() override;

  void swap(const float *from, const int *reverse, float *to, int width);
  static PairTLMLP *active;    // that computes now: the network's swaps are its own

 private:
  static int count;
  int key;
  bool halo = false;
  Model model{};
  std::vector<int> element_of;

  // atoms
  std::vector<int> rows;        // [R] atom of each row
  std::vector<int> row_of;      // [all atoms] its row, or -1
  std::vector<std::array<int, 2>> owner;    // [all atoms] (rank, atom) that it is, or an image of
  // bonds of each row, one row after the other
  struct Bond { int atom; float vector[3]; };
  std::vector<Bond> bonds;
  std::vector<int> first;       // [R + 1]
  std::vector<int> layers;      // [blocks + 1] rows
  // padded, as the network takes them
  int slots = 0;
  std::vector<int> room;        // [blocks + 1] padded layers
  std::vector<int> species, neighbors, reverse, slot_atom;
  std::vector<float> vectors, slopes;
  std::vector<unsigned char> mask, atom_mask;
  std::vector<double> energies;
  // bonds between this rank and another, in the same order on both
  struct End { int atom, slot; float vector[3]; };    // of its atom, of the other's slot; of a bond
  struct Peer { int rank; std::vector<int> slots; std::vector<float> out, in; };
  std::vector<Peer> peers;

  void settle(bool fault, const std::string &sentence);
  void find_owners();
  void find_bonds(double cutoff);
  int shaken(double width) const;
  void grow_slots();
  void grow_rows();
  void fill();
  void match(std::string &fault);
  int home_of(int j) const;
  int partner(const float *vector, int row) const;
  void alone(int slot, std::string &fault);
  void match_away(const std::vector<std::vector<End>> &ends);
  void add_forces();
};

#endif
