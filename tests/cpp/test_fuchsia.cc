// SPDX-License-Identifier: BSD-2-Clause
// SPDX-FileCopyrightText: 2026 the isthmus authors
// Code in the style of Fuchsia's OP-TEE driver: a message class over the driver pool, a client that hands out memory by id, and what comes of it
// with a namespace alias and Zircon's types.
#include <isthmus/isthmus.hpp>

#include <array>
#include <cstdlib>
#include <list>
#include <sys/mman.h>

#include "check.h"

// What the system's headers would say.
using zx_status_t = std::int32_t;
using zx_vaddr_t = std::uintptr_t;
using zx_paddr_t = std::uintptr_t;
#define ZX_OK 0
#define ZX_ERR_NO_RESOURCES (-3)
#define ZX_ERR_INVALID_ARGS (-10)
#define ZX_ERR_NOT_FOUND (-25)

namespace fdf
{

class MmioBuffer
{
      public:
	MmioBuffer(volatile void *at, std::size_t size) : at_(at), size_(size)
	{
	}
	MmioBuffer(const MmioBuffer &) = delete;
	MmioBuffer(MmioBuffer &&other) noexcept : at_(other.at_), size_(other.size_)
	{
		other.at_ = nullptr;
	}
	~MmioBuffer()
	{
		if (at_)
			munmap(const_cast<void *>(at_), size_);
	}
	volatile void *get() const
	{
		return at_;
	}
	std::size_t get_size() const
	{
		return size_;
	}

      private:
	volatile void *at_;
	std::size_t size_;
};

} // namespace fdf

namespace optee = isthmus::zircon;
using optee::SharedMemory;
using optee::SharedMemoryManager;
using optee::SharedMemoryView;

namespace driver
{

struct Header {
	std::uint32_t command, function, session, cancel, pad, result, origin, count;
};
struct Param {
	std::uint64_t attribute, a, b, c;
};

class Message
{
      public:
	// Only from the driver pool: with the other one it does not compile.
	static zx_status_t Create(SharedMemoryManager::DriverMemoryPool *pool, std::uint32_t command,
	                          std::uint32_t count, std::unique_ptr<Message> *out)
	{
		std::unique_ptr<SharedMemory> memory;
		zx_status_t status = pool->Allocate(sizeof(Header) + count * sizeof(Param), &memory);

		if (status != ZX_OK)
			return status;
		out->reset(new Message(std::move(memory)));
		(*out)->header()->command = command;
		(*out)->header()->count = count;
		return ZX_OK;
	}

	zx_paddr_t paddr() const
	{
		return memory_->paddr();
	}
	Header *header()
	{
		return reinterpret_cast<Header *>(memory_->vaddr());
	}
	Param *params()
	{
		return reinterpret_cast<Param *>(memory_->vaddr() + sizeof(Header));
	}
	bool Holds(zx_vaddr_t vaddr) const
	{
		return memory_->ContainsVaddr(vaddr);
	}

      private:
	explicit Message(std::unique_ptr<SharedMemory> memory) : memory_(std::move(memory))
	{
	}

	std::unique_ptr<SharedMemory> memory_;
};

class Client
{
      public:
	explicit Client(SharedMemoryManager *manager) : manager_(manager)
	{
	}

	template <typename Pool>
	zx_status_t AllocateMemory(Pool *pool, std::size_t size, zx_paddr_t *paddr, std::uint64_t *id)
	{
		std::unique_ptr<SharedMemory> memory;
		zx_status_t status = size == 0 ? ZX_ERR_INVALID_ARGS : pool->Allocate(size, &memory);

		if (status != ZX_OK)
			return status;
		*paddr = memory->paddr();
		*id = reinterpret_cast<std::uint64_t>(memory.get());
		allocated_.push_back(std::move(memory));
		return ZX_OK;
	}

	zx_status_t FreeMemory(std::uint64_t id)
	{
		for (auto it = allocated_.begin(); it != allocated_.end(); ++it) {
			if (reinterpret_cast<std::uint64_t>(it->get()) == id) {
				allocated_.erase(it);
				return ZX_OK;
			}
		}
		return ZX_ERR_NOT_FOUND;
	}

	std::optional<SharedMemoryView> Reference(std::uint64_t id, zx_paddr_t paddr, std::size_t size)
	{
		for (auto &memory : allocated_) {
			if (reinterpret_cast<std::uint64_t>(memory.get()) == id)
				return memory->SliceByPaddr(paddr, paddr + size);
		}
		return std::nullopt;
	}

	SharedMemoryManager *manager_;

      private:
	std::list<std::unique_ptr<SharedMemory>> allocated_;
};

} // namespace driver

constexpr zx_paddr_t kStart = 0x5300000;

static std::unique_ptr<SharedMemoryManager> MakeManager(std::size_t size)
{
	void *at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	std::unique_ptr<SharedMemoryManager> manager;
	zx_status_t status = SharedMemoryManager::Create(fdf::MmioBuffer(at, size), kStart, &manager);

	CHECK(status == (size < 8 * 4096 ? ZX_ERR_NO_RESOURCES : ZX_OK));
	return manager;
}

static void ParametersComeBack()
{
	auto manager = MakeManager(128 * 1024);
	std::unique_ptr<driver::Message> message;

	CHECK(driver::Message::Create(manager->driver_pool(), 1, 4, &message) == ZX_OK);
	for (std::uint64_t i = 0; i < 4; i++)
		message->params()[i] = {3, i, i * i, ~i};
	for (std::uint64_t i = 0; i < 4; i++)
		CHECK(message->params()[i].b == i * i && message->params()[i].c == ~i);
	CHECK(message->paddr() >= kStart && message->paddr() % optee::DriverPoolTraits::Alignment() == 0);
	CHECK(message->Holds(reinterpret_cast<zx_vaddr_t>(message->params() + 3)));
	CHECK(!message->Holds(reinterpret_cast<zx_vaddr_t>(message->params() + 4)));
}

// A remote call that gets memory while a message is held, uses slices of odd places and sizes, and gives it back by id.
static void RemoteCalls()
{
	auto manager = MakeManager(128 * 1024);
	driver::Client client(manager.get());
	std::unique_ptr<driver::Message> open;
	std::array<std::uint64_t, 3> id;
	std::array<zx_paddr_t, 3> paddr;

	CHECK(driver::Message::Create(manager->driver_pool(), 0, 2, &open) == ZX_OK);
	CHECK(client.AllocateMemory(manager->driver_pool(), 160, &paddr[0], &id[0]) == ZX_OK);
	CHECK(client.AllocateMemory(manager->driver_pool(), 4096, &paddr[1], &id[1]) == ZX_OK);
	CHECK(client.AllocateMemory(manager->client_pool(), 4096, &paddr[2], &id[2]) == ZX_OK);
	CHECK(client.AllocateMemory(manager->client_pool(), 0, &paddr[2], &id[2]) == ZX_ERR_INVALID_ARGS);
	for (std::size_t i = 0; i < 3; i++) {
		auto frame = client.Reference(id[i], paddr[i], 160);
		CHECK(frame && frame->paddr() == paddr[i]);
		auto body = frame->SliceByVaddr(frame->vaddr() + 6, frame->vaddr() + frame->size());
		CHECK(body && body->size() == 154 && body->paddr() == paddr[i] + 6);
		CHECK(!client.Reference(id[i], paddr[i], 0));
		CHECK(!client.Reference(id[i], paddr[i], SIZE_MAX));
		CHECK(!client.Reference(id[i], paddr[i] + 1, 4096));
		CHECK(client.FreeMemory(id[i]) == ZX_OK);
		CHECK(client.FreeMemory(id[i]) == ZX_ERR_NOT_FOUND);
	}
	std::unique_ptr<SharedMemory> none;
	CHECK(manager->driver_pool()->Allocate(1 << 20, &none) == ZX_ERR_NO_RESOURCES);
	CHECK(manager->driver_pool()->Allocate(0, &none) == ZX_ERR_NO_RESOURCES);
	CHECK(manager->client_pool()->Allocate(SIZE_MAX, &none) == ZX_ERR_NO_RESOURCES && !none);
}

static void SizesOfWindows()
{
	CHECK(!MakeManager(7 * 4096));
	auto smallest = MakeManager(8 * 4096);
	CHECK(smallest != nullptr);
	std::array<std::unique_ptr<SharedMemory>, 5> page;
	for (std::size_t i = 0; i < 5; i++) {
		zx_status_t status =
		        smallest->client_pool()->Allocate(optee::ClientPoolTraits::Alignment(), &page[i]);
		CHECK(status == (i < 4 ? ZX_OK : ZX_ERR_NO_RESOURCES));
	}
	CHECK(!page[4] && page[0]->paddr() == kStart + 4 * 4096);
}

int main()
{
	ParametersComeBack();
	RemoteCalls();
	SizesOfWindows();
	std::printf(faults ? "%d faults\n" : "all is well\n", faults);
	return faults != 0;
}
