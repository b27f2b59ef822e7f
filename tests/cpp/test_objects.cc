// SPDX-License-Identifier: BSD-2-Clause
// SPDX-FileCopyrightText: 2026 the isthmus authors
// isthmus.hpp: who owns what, and when it goes.
#include <isthmus/isthmus.hpp>

#include <cstdlib>
#include <sys/mman.h>
#include <thread>
#include <type_traits>
#include <vector>

#include "check.h"

using isthmus::SharedMemory;
using isthmus::SharedMemoryManager;
using isthmus::SharedMemoryView;

static_assert(!std::is_copy_constructible_v<SharedMemory> && !std::is_copy_assignable_v<SharedMemory>);
static_assert(std::is_nothrow_move_constructible_v<SharedMemory> &&
              std::is_nothrow_move_assignable_v<SharedMemory>);
static_assert(std::is_nothrow_default_constructible_v<SharedMemory>);
static_assert(std::is_trivially_copyable_v<SharedMemoryView> &&
              std::is_convertible_v<const SharedMemory &, SharedMemoryView>);
static_assert(!std::is_convertible_v<SharedMemoryView, SharedMemory>);
static_assert(!std::is_same_v<SharedMemoryManager::DriverMemoryPool, SharedMemoryManager::ClientMemoryPool>);
static_assert(!std::is_convertible_v<SharedMemoryManager::ClientMemoryPool *,
                                     SharedMemoryManager::DriverMemoryPool *>);
static_assert(!std::is_copy_constructible_v<SharedMemoryManager> &&
              !std::is_move_constructible_v<SharedMemoryManager>);
static_assert(!std::is_copy_constructible_v<isthmus::ReadSection> &&
              !std::is_move_constructible_v<isthmus::ReadSection>);
static_assert(std::is_same_v<SharedMemoryManager::DriverMemoryPool,
                             isthmus::SharedMemoryPool<isthmus::DriverPoolTraits>>);
static_assert(std::is_same_v<isthmus::zircon::SharedMemory, SharedMemory>);

constexpr std::size_t kSize = 1 << 20;
constexpr isthmus::paddr_t kPaddr = 0x42000000;

// The heap, which fails when the countdown ends.
static int countdown = -1;

__attribute__((noinline)) void *operator new(std::size_t size, const std::nothrow_t &) noexcept
{
	return countdown >= 0 && countdown-- == 0 ? nullptr : std::malloc(size);
}
__attribute__((noinline)) void operator delete(void *at) noexcept
{
	std::free(at);
}
__attribute__((noinline)) void operator delete(void *at, std::size_t) noexcept
{
	std::free(at);
}
__attribute__((noinline)) void operator delete(void *at, const std::nothrow_t &) noexcept
{
	std::free(at);
}
__attribute__((noinline)) void *operator new(std::size_t size)
{
	void *at = std::malloc(size);

	return at ? at : (std::abort(), at);
}

// A mapping of its own, which says when it goes.
struct Buffer {
	explicit Buffer(std::size_t size, int *gone) : size_(size), gone_(gone)
	{
		at_ = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	}
	Buffer(Buffer &&other) noexcept
	    : at_(std::exchange(other.at_, nullptr)), size_(other.size_), gone_(other.gone_)
	{
	}
	~Buffer()
	{
		if (at_) {
			munmap(at_, size_);
			++*gone_;
		}
	}
	volatile void *get() const
	{
		return at_;
	}
	std::size_t get_size() const
	{
		return size_;
	}

	void *at_;
	std::size_t size_;
	int *gone_;
};

static std::unique_ptr<SharedMemoryManager> make(int *gone, std::size_t size = kSize)
{
	std::unique_ptr<SharedMemoryManager> manager;

	CHECK(SharedMemoryManager::Create(Buffer(size, gone), kPaddr, &manager) == 0);
	return manager;
}

static void allocations_go()
{
	int gone = 0;
	{
		auto manager = make(&gone);
		std::unique_ptr<SharedMemory> message, buffer;

		CHECK(manager->driver_pool()->Allocate(224, &message) == 0);
		CHECK(manager->client_pool()->Allocate(5000, &buffer) == 0);
		CHECK(message && message->size() == 224 && message->vaddr() % 8 == 0 && *message);
		CHECK(buffer && buffer->size() == 5000 && buffer->paddr() % IST_PAGE_SIZE == 0);
		CHECK(message->paddr() >= kPaddr && message->paddr() < kPaddr + 4 * IST_PAGE_SIZE);
		CHECK(buffer->paddr() >= kPaddr + 4 * IST_PAGE_SIZE);
		CHECK(manager->driver_pool()->Stats().used == 224);
		CHECK(manager->client_pool()->Stats().used == 5000);
		message.reset();
		buffer->Reset();
		CHECK(!*buffer && buffer->size() == 0 && buffer->vaddr() == 0);
		CHECK(manager->driver_pool()->Stats().used == 0);
		CHECK(manager->client_pool()->Stats().used == 0);
		CHECK(gone == 0);
	}
	CHECK(gone == 1);
}

// Old contents are nobody's business.
static void memory_is_zeroed()
{
	int gone = 0;
	auto manager = make(&gone);

	for (int turn = 0; turn < 3; turn++) {
		auto message = manager->driver_pool()->Allocate(160);
		auto buffer = manager->client_pool()->Allocate(8192);

		CHECK(message && buffer);
		for (std::size_t i = 0; i < 160; i++)
			CHECK(reinterpret_cast<char *>(message->vaddr())[i] == 0);
		for (std::size_t i = 0; i < 8192; i++)
			CHECK(reinterpret_cast<char *>(buffer->vaddr())[i] == 0);
		std::memset(reinterpret_cast<void *>(message->vaddr()), 0xa5, 160);
		std::memset(reinterpret_cast<void *>(buffer->vaddr()), 0xa5, 8192);
	}
}

static void moves()
{
	int gone = 0;
	auto manager = make(&gone);
	auto *pool = manager->driver_pool();
	auto first = pool->Allocate(64), second = pool->Allocate(96);
	CHECK(first && second);
	isthmus::vaddr_t at = first->vaddr();

	SharedMemory moved(std::move(*first));
	CHECK(moved.vaddr() == at && moved.size() == 64 && moved);
	CHECK(!*first && first->vaddr() == 0 && first->paddr() == 0 && first->size() == 0);
	CHECK(!first->ContainsVaddr(at) && !first->SliceByVaddr(at, at + 1));
	CHECK(pool->Stats().used == 160);

	moved = std::move(*second); // what it had is freed
	CHECK(moved.size() == 96 && !*second && pool->Stats().used == 96);
	SharedMemory &self = moved;
	moved = std::move(self); // to itself: nothing
	CHECK(moved.size() == 96 && moved && pool->Stats().used == 96);
	moved = SharedMemory();
	CHECK(!moved && pool->Stats().used == 0);
	moved = std::move(*first); // empty to empty
	CHECK(!moved);
	moved.Reset();
	first.reset(); // destroying what was moved from frees nothing again
	CHECK(pool->Stats().misuses == 0 && pool->Stats().frees == 2);

	std::vector<SharedMemory> many;
	for (int i = 0; i < 40; i++) {
		auto one = pool->Allocate(32);
		CHECK(one.has_value());
		many.push_back(std::move(*one)); // and moved as it grows
	}
	CHECK(pool->Stats().used == 40 * 32);
	many.erase(many.begin() + 3, many.begin() + 30);
	CHECK(pool->Stats().used == 13 * 32);
	std::swap(many[0], many[1]);
	many.clear();
	CHECK(pool->Stats().used == 0 && pool->Stats().misuses == 0);
}

static void refusals()
{
	int gone = 0;
	auto manager = make(&gone);
	auto *driver = manager->driver_pool();
	auto *client = manager->client_pool();
	std::unique_ptr<SharedMemory> kept;

	CHECK(driver->Allocate(100, &kept) == 0);
	const SharedMemory *before = kept.get();
	isthmus::vaddr_t at = kept->vaddr();
	CHECK(driver->Allocate(0, &kept) == -EINVAL);
	CHECK(driver->Allocate(kSize, &kept) == -ENOSPC);
	CHECK(driver->Allocate(SIZE_MAX, &kept) == -ENOSPC);
	CHECK(client->Allocate(0, &kept) == -EINVAL);
	CHECK(client->Allocate(kSize, &kept) == -ENOSPC);
	CHECK(driver->Allocate(64, nullptr) == -EINVAL);
	CHECK(kept.get() == before && kept->vaddr() == at && kept->size() == 100);
	CHECK(!driver->Allocate(0) && !client->Allocate(SIZE_MAX));
	CHECK(driver->Stats().used == 100);
	// A success replaces: the new one is taken first, so they differ.
	CHECK(driver->Allocate(100, &kept) == 0 && kept->vaddr() != at);
	CHECK(driver->Stats().used == 100);
	// The whole pool, and one more.
	std::vector<SharedMemory> all;
	while (auto one = client->Allocate(IST_PAGE_SIZE))
		all.push_back(std::move(*one));
	CHECK(all.size() == kSize / IST_PAGE_SIZE - 4);
	CHECK(client->Allocate(1, &kept) == -ENOSPC);
	all.pop_back();
	CHECK(client->Allocate(1, &kept) == 0);
}

static void managers_are_refused()
{
	std::unique_ptr<SharedMemoryManager> manager;
	std::unique_ptr<isthmus::zircon::SharedMemoryManager> other;
	int gone = 0;
	Buffer memory(kSize, &gone);

	CHECK(SharedMemoryManager::Create(Buffer(7 * IST_PAGE_SIZE, &gone), kPaddr, &manager) == -ENOSPC);
	CHECK(!manager && gone == 1); // consumed
	CHECK(isthmus::zircon::SharedMemoryManager::Create(Buffer(7 * IST_PAGE_SIZE, &gone), kPaddr,
	                                                   &other) == -3);
	CHECK(!other && gone == 2);
	CHECK(SharedMemoryManager::Create(Buffer(kSize, &gone), kPaddr, nullptr) == -EINVAL && gone == 3);
	CHECK(SharedMemoryManager::Create(Buffer(kSize, &gone), kPaddr + 1, &manager) == -EINVAL &&
	      gone == 4);
	CHECK(isthmus::zircon::SharedMemoryManager::Create(Buffer(kSize, &gone), UINT64_MAX - 4095, &other) ==
	      -10);
	CHECK(SharedMemoryManager::Create(nullptr, kPaddr, kSize, &manager) == -EINVAL);
	CHECK(SharedMemoryManager::Create(memory.at_, kPaddr, 0, &manager) == -EINVAL);
	CHECK(SharedMemoryManager::Create(memory.at_, kPaddr, kSize, nullptr) == -EINVAL);
	CHECK(!manager && !other);
	CHECK(SharedMemoryManager::Create(memory.at_, kPaddr, kSize, &manager, 64 * 1024) == 0);
	CHECK(manager->driver_pool()->Stats().size == 64 * 1024);
	// Another one takes its place: the old one goes.
	CHECK(SharedMemoryManager::Create(Buffer(8 * IST_PAGE_SIZE, &gone), kPaddr, &manager) == 0);
	CHECK(manager->driver_pool()->Stats().size == 4 * IST_PAGE_SIZE);
	CHECK(manager->client_pool()->Stats().size == 4 * IST_PAGE_SIZE);
}

// The manager goes first: what it allocated stays, and with the last of it goes the memory.
static void outlives_the_manager()
{
	int gone = 0;
	auto manager = make(&gone);
	auto message = manager->driver_pool()->Allocate(64);
	auto buffer = manager->client_pool()->Allocate(4096);
	std::unique_ptr<SharedMemory> third;
	CHECK(manager->client_pool()->Allocate(4096, &third) == 0);

	manager.reset();
	CHECK(gone == 0);
	std::memset(reinterpret_cast<void *>(message->vaddr()), 1, 64);
	std::memset(reinterpret_cast<void *>(buffer->vaddr()), 1, 4096);
	message.reset();
	CHECK(gone == 0);
	auto another = make(&gone); // which has nothing to do with it
	SharedMemory moved(std::move(*buffer));
	buffer.reset();
	CHECK(gone == 0 && moved.size() == 4096);
	moved = SharedMemory();
	CHECK(gone == 0);
	third.reset();
	CHECK(gone == 1);
	CHECK(another->driver_pool()->Allocate(64).has_value());
	another.reset();
	CHECK(gone == 2);
}

// By many threads at once: one of them takes it along, and once.
static void outlived_by_threads()
{
	for (int turn = 0; turn < 50; turn++) {
		int gone = 0;
		auto manager = make(&gone);
		std::vector<std::thread> threads;
		std::vector<std::vector<SharedMemory>> each(4);

		for (auto &mine : each) {
			for (int i = 0; i < 20; i++) {
				auto one = manager->driver_pool()->Allocate(48);
				CHECK(one.has_value());
				mine.push_back(std::move(*one));
			}
		}
		manager.reset();
		CHECK(gone == 0);
		for (auto &mine : each)
			threads.emplace_back([&mine] { mine.clear(); });
		for (auto &thread : threads)
			thread.join();
		CHECK(gone == 1);
	}
}

static void views_and_slices()
{
	int gone = 0;
	auto manager = make(&gone);
	auto memory = manager->client_pool()->Allocate(10000);
	CHECK(memory.has_value());
	isthmus::vaddr_t v = memory->vaddr();
	isthmus::paddr_t p = memory->paddr();

	CHECK(memory->ContainsVaddr(v) && memory->ContainsVaddr(v + 9999) &&
	      !memory->ContainsVaddr(v + 10000));
	CHECK(memory->ContainsPaddr(p) && !memory->ContainsPaddr(p - 1) && !memory->ContainsPaddr(p + 10000));
	auto whole = memory->SliceByVaddr(v, v + 10000);
	CHECK(whole && whole->vaddr() == v && whole->paddr() == p && whole->size() == 10000);
	CHECK(!memory->SliceByVaddr(v, v + 10001) && !memory->SliceByVaddr(v - 1, v + 1));
	CHECK(!memory->SliceByVaddr(v, v) && !memory->SliceByVaddr(v + 2, v + 1));
	CHECK(!memory->SliceByPaddr(p + 1, p) && !memory->SliceByPaddr(UINT64_MAX, 0));
	auto inner = memory->SliceByPaddr(p + 6, p + 518);
	CHECK(inner && inner->vaddr() == v + 6 && inner->size() == 512);
	CHECK(inner->SliceByVaddr(v + 7, v + 8) && !inner->SliceByVaddr(v + 5, v + 8) &&
	      !inner->SliceByVaddr(v + 7, v + 519));
	SharedMemoryView view = *memory, copy = view, none;
	CHECK(copy.size() == 10000 && copy.view().vaddr == memory->view().vaddr);
	CHECK(none.size() == 0 && !none.ContainsVaddr(0) && !none.SliceByVaddr(0, 1));
	// Up to the very top.
	SharedMemoryView top(ist_view{reinterpret_cast<void *>(UINTPTR_MAX - 9), UINT64_MAX - 9, 10});
	CHECK(top.ContainsVaddr(UINTPTR_MAX) && top.ContainsPaddr(UINT64_MAX) &&
	      top.SliceByPaddr(UINT64_MAX - 9, UINT64_MAX));
}

// Whatever allocation fails: nothing is left, *out is as it was, and the buffer is consumed.
static void no_heap()
{
	int gone = 0, consumed = 0;
	std::unique_ptr<SharedMemoryManager> manager;
	std::unique_ptr<isthmus::zircon::SharedMemoryManager> other;
	std::unique_ptr<SharedMemory> out;

	for (int fails = 0; fails < 3; fails++) {
		countdown = fails;
		CHECK(SharedMemoryManager::Create(Buffer(kSize, &gone), kPaddr, &manager) == -ENOMEM &&
		      !manager);
		CHECK(gone == ++consumed);
		countdown = fails;
		CHECK(isthmus::zircon::SharedMemoryManager::Create(Buffer(kSize, &gone), kPaddr, &other) ==
		              -4 &&
		      !other);
		CHECK(gone == ++consumed);
	}
	countdown = -1;
	manager = make(&gone);
	countdown = 0;
	CHECK(manager->driver_pool()->Allocate(64, &out) == -ENOMEM && !out);
	countdown = -1;
	CHECK(manager->driver_pool()->Stats().used == 0 && manager->driver_pool()->Stats().misuses == 0);
	CHECK(manager->driver_pool()->Allocate(64).has_value());
}

static void translations()
{
	int gone = 0;
	auto manager = make(&gone);
	auto memory = manager->client_pool()->Allocate(4096);
	isthmus::ReadSection section;

	CHECK(ist_read_inside());
	auto vaddr = manager->PhysToVirt(memory->paddr() + 5, 100);
	CHECK(vaddr && *vaddr == reinterpret_cast<void *>(memory->vaddr() + 5));
	auto paddr = manager->VirtToPhys(*vaddr, 10);
	CHECK(paddr && *paddr == memory->paddr() + 5);
	CHECK(!manager->PhysToVirt(kPaddr - 1, 1) && !manager->PhysToVirt(kPaddr, 0) &&
	      !manager->VirtToPhys(&gone, 1));
	CHECK(manager->get() != nullptr);
}

// Pools of their own, as tests of messages want them.
static void pools_alone()
{
	int gone = 0;
	Buffer memory(16 * IST_PAGE_SIZE, &gone);
	auto at = reinterpret_cast<isthmus::vaddr_t>(memory.at_);
	{
		isthmus::SharedMemoryPool<isthmus::DriverPoolTraits> driver(at, kPaddr, 4 * IST_PAGE_SIZE);
		isthmus::SharedMemoryPool<isthmus::ClientPoolTraits> client(at + 8 * IST_PAGE_SIZE, kPaddr,
		                                                            4 * IST_PAGE_SIZE);
		auto message = driver.Allocate(160);
		auto buffer = client.Allocate(3 * IST_PAGE_SIZE);

		CHECK(message && message->vaddr() == at && message->paddr() == kPaddr);
		CHECK(buffer && buffer->vaddr() == at + 9 * IST_PAGE_SIZE);
		CHECK(driver.Stats().size == 2 * IST_PAGE_SIZE && client.Stats().size == 3 * IST_PAGE_SIZE);
	}
	// Not on a page boundary: whole pages inside.
	isthmus::SharedMemoryPool<isthmus::DriverPoolTraits> skewed(at + 16, at + 16, 3 * IST_PAGE_SIZE);
	CHECK(skewed.Allocate(160).has_value());
	// Of no use: nothing can be allocated, and nothing happens.
	isthmus::SharedMemoryPool<isthmus::DriverPoolTraits> small(at, kPaddr, IST_PAGE_SIZE), none(0, 0, 0),
	        wraps(at, UINT64_MAX - 4095, 4 * IST_PAGE_SIZE), unlike(at, kPaddr + 8, 4 * IST_PAGE_SIZE);
	isthmus::zircon::SharedMemoryPool<isthmus::ClientPoolTraits> zircon(at, kPaddr, 100);
	std::unique_ptr<SharedMemory> out;
	CHECK(small.Allocate(8, &out) == -ENOSPC && none.Allocate(8, &out) == -ENOSPC);
	CHECK(wraps.Allocate(8, &out) == -ENOSPC && unlike.Allocate(8, &out) == -ENOSPC);
	CHECK(zircon.Allocate(8, &out) == -3 && !zircon.Allocate(8) && !out);
	CHECK(none.Stats().size == 0);
	// A pool that goes before what it allocated.
	auto pool = std::make_unique<isthmus::SharedMemoryPool<isthmus::DriverPoolTraits>>(
	        at + 8 * IST_PAGE_SIZE, kPaddr, 4 * IST_PAGE_SIZE);
	auto left = pool->Allocate(64);
	pool.reset();
	CHECK(left && left->size() == 64);
	left.reset();
}

int main()
{
	allocations_go();
	memory_is_zeroed();
	moves();
	refusals();
	managers_are_refused();
	outlives_the_manager();
	outlived_by_threads();
	views_and_slices();
	no_heap();
	translations();
	pools_alone();
	std::printf(faults ? "%d faults\n" : "all is well\n", faults);
	return faults != 0;
}
